"""`logger` says a thing when it happens, and not again on replay."""

import logging
from collections.abc import Iterator

import pytest

from tests.support.driver import Drive, Driver
from tests.support.steps import work
from worldflow import logger, workflow
from worldflow.engine.workflow.execution import Execution


@pytest.fixture(autouse=True)
def _said(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.INFO, "worldflow.workflow"):
        yield


@workflow
async def talking() -> None:
    logger.info("begins")
    try:
        logger.info("got %s", await work())
    finally:
        logger.info("ends")


def test_replay_says_nothing(drive: Drive, caplog: pytest.LogCaptureFixture):
    run = drive(talking)
    run.complete(work, 5)
    caplog.clear()
    run.replay().dispose()
    assert caplog.messages == []


def test_what_happens_after_a_replay_is_said(drive: Drive, caplog: pytest.LogCaptureFixture):
    run: Driver = drive(talking)
    assert caplog.messages[:1] == ["begins"]
    caplog.clear()
    run.complete(work, 5)
    # By the live execution and by the one that was made anew from the history: once each.
    assert caplog.messages == ["got 5", "ends"] * 2


def test_disposal_says_nothing_twice(drive: Drive, caplog: pytest.LogCaptureFixture):
    run = drive(talking)
    caplog.clear()
    execution: Execution = run.replay()
    execution.dispose()
    assert "begins" not in caplog.messages
    assert "got" not in caplog.text


def test_elsewhere_it_is_an_ordinary_logger(caplog: pytest.LogCaptureFixture):
    logger.info("outside")
    assert caplog.messages == ["outside"]
