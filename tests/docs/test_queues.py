"""The code of docs/guide/queues.md, run."""

from worldflow import step, workflow
from worldflow.testing import WorkflowEnvironment


async def test_a_step_that_names_a_queue() -> None:
    @step(queue="heavy")
    async def render(video: str) -> str:
        return f"{video}.mp4"

    @workflow
    async def publish_video(video: str) -> str:
        return await render(video)

    async with WorkflowEnvironment() as env:
        run = await env.start(publish_video, "cat")
        assert await run.result() == "cat.mp4"
