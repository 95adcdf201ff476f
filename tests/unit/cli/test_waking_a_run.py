from tests.unit.cli.conftest import Cli


def test_a_timer_is_ended_by_its_id(cli: Cli):
    cli("start", "ask", "--run-id", "one")
    cli.settle()
    assert cli("wake", "one") == "one is not sleeping.\n"
    assert "started no timer 't9'" in cli.fails("wake", "one", "--timer", "t9")
    assert cli.fails("wake", "two") == f"Error: there is no run 'two' in {cli.file}\n"
