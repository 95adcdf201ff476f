"""A video, from the upload to what players load.

    probe                                   how long is it?
    transcode every part in every quality   in parallel, at most six at a time
    join the parts of each quality
    publish them

Progress is in the run's status, and as a number in the query `progress`. A part that takes too long without a sign of
life is tried again, from where its last heartbeat was. If the run fails or is cancelled, what was made is thrown away.
"""

import asyncio

from pydantic import BaseModel

from examples.media_pipeline.encoder import encoder
from worldflow import RetryPolicy, publish, set_status, step, step_info, workflow

QUALITIES = ("1080p", "480p")
PART = 10  # seconds
AT_ONCE = 6


class Video(BaseModel):
    id: str
    source: str


class Part(BaseModel):
    quality: str
    begin: int
    end: int

    def __str__(self) -> str:
        return f"{self.quality}/{self.begin:05}"


class Published(BaseModel):
    video: str
    playlists: list[str]


@step(guarantee="repeatable")
def probe_length(source: str) -> int:
    return encoder.length(source)


@step(heartbeat_timeout="30s", retry=RetryPolicy(max_attempts=5))
def transcode(video: Video, part: Part) -> str:
    """Encodes second by second; an attempt continues where the last one was."""
    info = step_info()
    for second in range(info.heartbeat_details or part.begin, part.end):
        encoder.encode(f"{video.id}/{part}", video.source, second)
        info.heartbeat(second + 1)
    return f"{video.id}/{part}"


@step
def join_parts(video: Video, quality: str, parts: list[str]) -> str:
    return encoder.join(f"{video.id}/{quality}.m3u8", parts)


@step
def publish_video(video: Video, playlists: list[str]) -> Published:
    encoder.publish(video.id, playlists)
    return Published(video=video.id, playlists=playlists)


@step
def throw_away(video: Video) -> None:
    encoder.delete(video.id)


@workflow(timeout="12h")
async def process_video(video: Video) -> Published:
    done = total = 0
    publish("progress", lambda: done / total if total else 0.0)
    at_once = asyncio.Semaphore(AT_ONCE)

    async def encode(part: Part) -> str:
        nonlocal done
        async with at_once:
            encoded = await transcode(video, part)
        done += 1
        if done * 4 % total < 4:  # at each quarter
            set_status(f"encoded {done} of {total} parts")
        return encoded

    async def encode_quality(quality: str, length: int) -> str:
        parts = [Part(quality=quality, begin=at, end=min(at + PART, length)) for at in range(0, length, PART)]
        async with asyncio.TaskGroup() as group:
            encoding = [group.create_task(encode(part)) for part in parts]
        return await join_parts(video, quality, [task.result() for task in encoding])

    try:
        set_status("probing")
        length = await probe_length(video.source)
        total = len(QUALITIES) * -(-length // PART)
        async with asyncio.TaskGroup() as group:
            joining = [group.create_task(encode_quality(quality, length)) for quality in QUALITIES]
        return await publish_video(video, [task.result() for task in joining])
    except BaseException:
        set_status("failed")
        await throw_away(video)
        raise
