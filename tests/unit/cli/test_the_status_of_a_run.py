from tests.unit.cli.conftest import Cli


def test_what_people_see_of_a_run_that_completed(cli: Cli):
    cli("start", "tomorrow", "--run-id", "one", "--input", '{"day": "2026-02-28"}')
    cli.settle()
    shown = [line.rstrip() for line in cli("status", "one").splitlines()]
    assert "workflow  tomorrow" in shown
    assert "status    completed" in shown
    assert 'input     {"day": "2026-02-28"}' in shown
    assert 'result    "2026-03-01"' in shown
    assert any(line.startswith("step day_after (s1)") for line in shown)


def test_an_error_is_shown_on_one_line_that_cannot_colour_the_terminal(cli: Cli):
    cli("start", "doomed", "--run-id", "one")
    cli.settle()
    shown = cli("status", "one")
    assert "error     FatalError: no hope [31mleft" in shown
    assert "\x1b" not in shown


def test_a_run_of_which_nothing_has_happened_yet_is_pending(cli: Cli):
    cli("start", "ask", "--run-id", "one")
    assert cli.json("status", "one")["status"] == "pending"
    assert "timeline" not in cli("status", "one")


def test_what_its_workflow_says_of_itself(cli: Cli):
    cli("start", "basket", "--run-id", "one")
    cli.settle()
    cli.run("update", "one", "add", "--args", '["hat", 3]', "--timeout", "0s")
    cli.settle()
    shown = [line.rstrip() for line in cli("status", "one").splitlines()]
    assert "            3 in the basket" in shown
    assert 'attributes  customer="Ada" items=3' in shown
    assert any(line.startswith("update add") for line in shown)


def test_which_run_follows(cli: Cli):
    cli("start", "countdown", "--run-id", "one", "--input", '{"left": 1}')
    cli.settle()
    assert "continued as  one~2" in cli("status", "one")
