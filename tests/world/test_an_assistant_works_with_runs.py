"""A coding assistant starts runs, finds out what is wrong with one and puts it right, on every World."""

import pytest

from tests.support.assistant import Assistant
from tests.support.systems import System
from worldflow import FatalError, step, wait_for_signal, workflow
from worldflow.mcp.server import create_server


@step
async def weigh_for_an_assistant(parcel: str) -> int:
    if broken_scales:
        raise FatalError("the scales are broken")
    return len(parcel)


@workflow(signals={"approved": bool})
async def ships_for_an_assistant(parcel: str) -> str:
    grams = await weigh_for_an_assistant(parcel)
    approved: bool = await wait_for_signal("approved")
    return f"{parcel}: {grams} g" if approved else "kept"


broken_scales = True


def test_from_the_start_to_the_fix_to_the_end(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    assistant = Assistant(create_server(system.world, allow_writes=True))
    parcel = "vase " * 20_000  # more than a history holds itself

    assistant.call("start_run", workflow="ships_for_an_assistant", input={"parcel": parcel}, run_id="parcel-1")
    system.settle()
    failed = assistant.call("explain_run", run_id="parcel-1")
    monkeypatch.setitem(globals(), "broken_scales", False)
    retried = assistant.call("retry_run", run_id="parcel-1")["run_id"]
    system.settle()
    waiting = assistant.call("explain_run", run_id=retried)
    assistant.call("send_signal", run_id="parcel-1", name="approved", value=True)
    system.settle()
    completed = assistant.call("get_run", run_id=retried)

    assert "FatalError: the scales are broken" in failed["explanation"]
    assert waiting["waits_for"][-1]["name"] == "approved"
    assert completed["run"]["status"] == "completed"
    assert completed["run"]["result"]["characters"] == len(parcel) + len(": 100000 g") + 2
    assert "vase" in assistant.call("read_value", run_id=retried, field="result", offset=90_000)["json_text"]
    assert [run["run_id"] for run in assistant.call("list_runs")["runs"]] == [retried, "parcel-1"]
