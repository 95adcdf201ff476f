"""`continue_as_new()` is for the workflow itself: in a handler of updates it is an error for who sent the update."""

import pytest

from tests.support.driver import Drive
from worldflow import WorldflowError, continue_as_new, on_update, sleep, wait_for_signal, workflow
from worldflow.engine.history import RunContinued


@workflow
async def handler_that_continues(n: int = 1) -> int:
    @on_update("at_once")
    def at_once() -> None:
        continue_as_new(n + 1)

    @on_update("later")
    async def later() -> None:
        await sleep("1s")
        continue_as_new(n + 1)

    if await wait_for_signal("go"):
        continue_as_new(n + 1)
    return n


@pytest.mark.parametrize("name", ["at_once", "later"])
def test_it_is_an_error_there(drive: Drive, name: str):
    run = drive(handler_that_continues)
    update = run.update(name)
    if name == "later":
        run.fire()
    with pytest.raises(WorldflowError, match="called by the workflow itself"):
        run.reply(update)
    assert not run.ended
    run.signal("go", False)
    assert run.result() == 1


def test_the_workflow_may_still_continue(drive: Drive):
    run = drive(handler_that_continues)
    run.update("at_once")
    run.signal("go", True)
    assert isinstance(run.state.ended, RunContinued)
