"""An agent that asks five tools at once, and you before it pays: `python -m examples.research_agent.demo`."""

from examples.research_agent import scripted
from examples.research_agent.sources import sources
from examples.research_agent.workflow import research
from examples.showing import show
from worldflow import StreamItem
from worldflow.engine.history import Event
from worldflow.runtime import Orchestrator
from worldflow.worker import Worker
from worldflow.worlds import LocalWorld

QUESTION = "Should we open a café in Lisbon?"


async def demo() -> list[Event]:
    scripted.pace.seconds, sources.latency = 0.01, 0.5
    world = LocalWorld()
    async with Worker(world):
        orchestrator = Orchestrator(world)
        run = await orchestrator.start_workflow("research-1", research, {"question": QUESTION})
        async for item in run.stream("answer"):
            match item:
                case StreamItem(value={"kind": "approval", "token": str(token)}):
                    await orchestrator.resume_hook(token, True)
                case _:
                    pass
        await run.result()
        events = await run.events()
    world.close()
    return events


if __name__ == "__main__":
    show(demo)
