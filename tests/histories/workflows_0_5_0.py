"""Workflows whose histories release 0.5.0 recorded: what it knows that 0.4.0 did not. Frozen as those before it are."""

from tests.histories.named import named_step, named_workflow
from worldflow import open_stream

RELEASE = "0.5.0"

step = named_step(RELEASE)
workflow = named_workflow(RELEASE)


@step()
async def words(count: int) -> int:
    async with open_stream("answer", str) as out:
        for number in range(count):
            await out.write(f"word {number}")
    return count


@workflow()
async def streams(count: int) -> int:
    progress = open_stream("progress", str)
    progress.write("asks")
    progress.write("waits")
    found = await words(count)
    await progress.write(f"has {found}")
    await progress.write("long " * 300)
    await progress.close()
    return found
