"""A fork writes the streams again that its workflow has written in the original."""

from collections import Counter

from worldflow import open_stream, step, wait_for_signal, workflow
from worldflow.costs.runs import costs_of
from worldflow.testing import WorkflowEnvironment


@step
async def estimate_for_a_fork() -> None:
    pass


@workflow
async def fork_with_notes(notes: int) -> None:
    stream = open_stream("notes", str)
    for _ in range(notes):
        stream.write("noted")
    await estimate_for_a_fork()
    await wait_for_signal("go", bool)


async def _requests_of_a_fork(notes: int) -> Counter[str]:
    async with WorkflowEnvironment() as env:
        run = await env.start(fork_with_notes, notes)
        (completed,) = [event.seq for event in await run.events() if event.event_type == "StepCompleted"]
        fork = await env.orchestrator.fork(run.id, "fork-1", after=completed)
        await env.settle()
        return costs_of(env.world, fork.id, {}).asked.requests


async def test_what_is_written_again_is_counted() -> None:
    with_notes, without = await _requests_of_a_fork(2), await _requests_of_a_fork(0)
    assert with_notes["dynamodb.PutItem"] - without["dynamodb.PutItem"] == 1
