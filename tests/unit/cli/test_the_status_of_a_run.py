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


def test_where_an_error_came_from_in_the_workflow_and_in_its_step(cli: Cli):
    cli("start", "doomed", "--run-id", "one")
    cli.settle()
    of_the_run, of_the_step = cli("status", "one").partition("\ntraceback\n")[2].split("\ntraceback of step ")
    assert of_the_run.startswith("Traceback (most recent call last):\n  File ")
    assert 'in doomed\n    return await give_up("no\\nhope' in of_the_run
    assert of_the_step.startswith("give_up (s1), attempt 1\nTraceback (most recent call last):\n")
    assert "in give_up\n    raise FatalError(reason)\n" in of_the_step


def test_where_it_came_from_is_left_out_on_request(cli: Cli):
    cli("start", "doomed", "--run-id", "one")
    cli.settle()
    assert "raceback" not in cli("status", "one", "--no-traceback")


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
