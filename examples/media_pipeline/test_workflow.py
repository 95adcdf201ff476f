from collections.abc import Iterator

import pytest

from examples.media_pipeline.encoder import Corrupt, encoder
from examples.media_pipeline.workflow import Published, Video, process_video
from worldflow import RunCancelledError, RunFailedError
from worldflow.testing import WorkflowEnvironment

FILM = "abcdefghijklmnopqrstuvwxyz"


@pytest.fixture(autouse=True)
def machine() -> Iterator[None]:
    encoder.latency = 0
    encoder.fails_at.clear()
    encoder.files.clear()
    yield


async def test_a_video_is_published_in_every_quality() -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(process_video, Video(id="v1", source=FILM))
        assert await run.result() == Published(video="v1", playlists=["v1/1080p.m3u8", "v1/480p.m3u8"])
        assert await run.query("progress") == 1
        statuses = [event.payload.get("status_text") for event in await run.events()]
    assert [status for status in statuses if status] == [
        "probing",
        "encoded 2 of 6 parts",
        "encoded 3 of 6 parts",
        "encoded 5 of 6 parts",
        "encoded 6 of 6 parts",
    ]
    assert encoder.files == {"v1/1080p.m3u8": FILM, "v1/480p.m3u8": FILM}


async def test_a_part_is_continued_where_its_last_attempt_was() -> None:
    encoder.fails_at = {17}
    async with WorkflowEnvironment() as env:
        await (await env.start(process_video, Video(id="v1", source=FILM))).result()
    assert encoder.files == {"v1/1080p.m3u8": FILM, "v1/480p.m3u8": FILM}


async def test_a_source_that_cannot_be_read() -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(process_video, Video(id="v1", source=""))
        with pytest.raises(RunFailedError) as failed:
            await run.result()
    assert isinstance(failed.value.__cause__, Corrupt)


async def test_what_was_made_is_thrown_away_when_the_run_is_cancelled() -> None:
    encoder.fails_at = {24}  # that part is retried later
    async with WorkflowEnvironment() as env:
        run = await env.start(process_video, Video(id="v1", source=FILM))
        assert encoder.files
        await run.cancel()
        with pytest.raises(RunCancelledError):
            await run.result()
    assert encoder.files == {}
