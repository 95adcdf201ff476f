"""What a workflow logs is logged once, however often its code runs."""

import logging

import pytest

from tests.support.scenarios import Env
from worldflow import logger, sleep, step, workflow


async def test_each_line_once(env: Env, caplog: pytest.LogCaptureFixture) -> None:
    @step
    async def work() -> None:
        pass

    async def group() -> None:
        logger.info("in a group")

    @workflow
    async def talking(name: str) -> None:
        logger.info("began with %s", name)
        await group()
        await work()
        logger.warning("half way")
        await sleep("1h")
        logger.info("the end")

    caplog.set_level(logging.INFO)
    run = await env.start(talking, "Ada")
    await env.restart()
    await run.result()

    lines = ["began with Ada", "in a group", "half way", "the end"]
    assert [line for line in caplog.messages if line in lines] == lines


async def test_a_step_logs_at_every_attempt(env: Env, caplog: pytest.LogCaptureFixture) -> None:
    tries: list[int] = []

    @step
    async def work() -> None:
        tries.append(1)
        logging.getLogger("shop").info("try %d", len(tries))
        if len(tries) < 3:
            raise ConnectionError

    @workflow
    async def working() -> None:
        await work()

    caplog.set_level(logging.INFO)
    await env.run(working)

    assert [line for line in caplog.messages if line.startswith("try")] == ["try 1", "try 2", "try 3"]
