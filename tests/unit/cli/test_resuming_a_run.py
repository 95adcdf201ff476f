import pytest

from tests.unit.cli.conftest import Cli
from worldflow import wait_for_signal, workflow


def test_a_blocked_run_goes_on_when_its_code_is_mended(cli: Cli):
    cli("start", "late", "--run-id", "one")
    cli.settle()
    assert cli.json("status", "one")["status"] == "blocked"

    @workflow
    async def late() -> str:
        return await wait_for_signal("answer", str)

    assert cli("resume", "one") == "Resumed one.\n"
    cli.settle()
    assert cli.json("status", "one")["status"] == "running"


@pytest.mark.parametrize("run_id", ["one", "two"])
def test_a_run_that_there_is_nothing_to_do_for(cli: Cli, run_id: str):
    cli("start", "doomed", "--run-id", "one")
    cli.settle()
    expected = {"one": "run 'one' has already ended (failed)", "two": f"there is no run 'two' in {cli.file}"}
    assert cli.fails("resume", run_id) == f"Error: {expected[run_id]}\n"
