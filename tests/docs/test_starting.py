"""The code of docs/guide/starting.md, run."""

from datetime import UTC, datetime, timedelta

import pytest

from worldflow import now, workflow
from worldflow.testing import WorkflowEnvironment

pytestmark = pytest.mark.time_of_day

NEW_YEAR = datetime(2027, 1, 1, 8, tzinfo=UTC)


async def test_starting_later() -> None:
    @workflow
    async def remind(customer: str) -> str:
        return now().isoformat()[:13]

    async with WorkflowEnvironment(start_time=NEW_YEAR - timedelta(days=1)) as env:
        orchestrator = env.orchestrator
        run = await orchestrator.start_workflow("reminder-17", remind, {"customer": "Ada"}, delay="1h")

        later = run
        run = await orchestrator.start_workflow(
            "greeting-2027", remind, {"customer": "Ada"}, start_at=datetime(2027, 1, 1, 8, tzinfo=UTC)
        )

        assert await run.status() == "pending"
        assert await later.result() == "2026-12-31T09"
        assert await run.result() == "2027-01-01T08"
