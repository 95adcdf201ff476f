"""A Pydantic AI agent whose tools run side by side in the step executor, with an approval by a signed URL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Project, until
from worldflow.devtools.stack import Stack
from worldflow.runtime import Orchestrator
from worldflow.worlds import AWSWorld


@pytest.fixture
def agents(project: Project, stack: Stack, tmp_path: Path) -> Iterator[None]:
    """The stack has the agents of `agents.py`."""
    code = Path(__file__).with_name("agents.py").read_text().replace('NOTES = ""', f"NOTES = {str(tmp_path)!r}", 1)
    with project.other_workflows(stack, {"agents.py": code}):
        yield


@pytest.mark.usefixtures("application", "agents")
async def test_an_agent_plans_a_journey(
    stack: Stack,
    start: Callable[..., str],
    ended: Callable[..., dict[str, Any]],
    history: Callable[[str], list[dict[str, Any]]],
) -> None:
    run_id = start("plan_a_journey", name="Ada")

    url = until(lambda: _asked(history(run_id)), 60)
    answer = stack.call_webhook("POST", url, '{"approved": true}')
    assert (answer.status, answer.body) == (200, {"received": True})
    record = ended(run_id)

    assert record["result"] == "Graz:sunny Linz:sunny Vienna:sunny Graz:old Graz:booked-for-Ada "
    names = [event["payload"]["name"] for event in history(run_id) if event["event_type"] == "StepScheduled"]
    assert names == [
        "travel.model",
        *["travel.tool.weather"] * 3,
        "travel.model",
        "historian.model",
        "historian.tool.read_archive",
        "historian.model",
        "ask_the_traveller",
        "travel.tool.book",
        "travel.model",
    ]
    values = [item.value async for item in Orchestrator(AWSWorld()).run(run_id).stream("answer")]
    assert "".join(map(_text, values)) == record["result"]


def _asked(events: list[dict[str, Any]]) -> str | None:
    """The URL with which the traveller was asked."""
    for event in events:
        if event["event_type"] == "StepScheduled" and event["payload"]["name"] == "ask_the_traveller":
            return str(event["payload"]["input"]["request"]["url"])
    return None


def _text(event: dict[str, Any]) -> str:
    if event["event_kind"] == "part_start" and event["part"]["part_kind"] == "text":
        return str(event["part"]["content"])
    if event["event_kind"] == "part_delta" and event["delta"]["part_delta_kind"] == "text":
        return str(event["delta"]["content_delta"])
    return ""
