"""Half a minute of video in two qualities; one attempt fails: `python -m examples.media_pipeline.demo`."""

from examples.media_pipeline.encoder import encoder
from examples.media_pipeline.workflow import Video, process_video
from examples.showing import show
from worldflow.engine.history import Event
from worldflow.runtime import Orchestrator
from worldflow.worker import Worker
from worldflow.worlds import LocalWorld


async def demo() -> list[Event]:
    encoder.latency, encoder.fails_at = 0.05, {17}
    world = LocalWorld()
    async with Worker(world):
        video = Video(id="v1", source="thirty-five seconds of a film..")
        run = await Orchestrator(world).start_workflow("video-1", process_video, {"video": video})
        print((await run.result()).model_dump_json(), end="\n\n")
        events = await run.events()
    world.close()
    return events


if __name__ == "__main__":
    show(demo)
