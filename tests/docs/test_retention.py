"""The code of docs/guide/retention.md, run."""

import pytest

from worldflow import workflow
from worldflow.testing import WorkflowEnvironment

pytestmark = pytest.mark.time_of_day


async def test_archiving() -> None:
    @workflow
    async def nothing() -> None:
        pass

    async with WorkflowEnvironment() as env:
        run = await env.start(nothing)
        await env.advance("91d")
        world = env.world

        from datetime import timedelta

        from worldflow.runtime.archive import archive_old_runs

        report = archive_old_runs(world, older_than=timedelta(days=90))

        assert report.archived == 1
        assert await run.status() == "completed"
