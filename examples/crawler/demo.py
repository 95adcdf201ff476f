"""Finds the two broken links of a small site on this machine: `python -m examples.crawler.demo`."""

from examples.crawler.site import serving
from examples.crawler.workflow import Limits, crawl_site
from examples.showing import show
from worldflow.engine.history import Event
from worldflow.runtime import Orchestrator
from worldflow.worker import Worker
from worldflow.worlds import LocalWorld


async def demo() -> list[Event]:
    world = LocalWorld()
    with serving(delay=0.15) as site:
        async with Worker(world):
            inputs = {"start": f"{site}/", "limits": Limits(pause=0.05, at_once=3)}
            run = await Orchestrator(world).start_workflow("crawl-1", crawl_site, inputs)
            print((await run.result()).model_dump_json(indent=2), end="\n\n")
        events = await run.events()
    world.close()
    return events


if __name__ == "__main__":
    show(demo)
