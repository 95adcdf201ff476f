"""What a codec of a LocalWorld asks is away for hours: the worker goes on trying, and nothing is blocked or fails."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.systems import LocalSystem, finish, local_system, skip
from worldflow import PayloadCodecError, RetryPolicy, step, workflow
from worldflow.engine.history import StepFailed
from worldflow.runtime import starting

ran: Counter[str] = Counter()


class Away:
    error: Exception | None = None

    def encode(self, data: bytes, context: Mapping[str, str]) -> bytes:
        return self.decode(data, context)

    def decode(self, data: bytes, context: Mapping[str, str]) -> bytes:
        try:
            if self.error:
                raise self.error
        except Exception as error:
            raise PayloadCodecError("the vault says no") from error
        return data[::-1]


codec = Away()


@step(name="local_away_work", retry=RetryPolicy(max_attempts=1))
async def work(what: str) -> str:
    ran[what] += 1
    return what


@step(name="local_away_once", guarantee="at_most_once")
async def once(what: str) -> str:
    """What it asks for goes away while it runs."""
    ran[what] += 1
    if ran[what] == 1:
        codec.error = ConnectionRefusedError()
    return what


@workflow(name="local_away_plain")
async def plain() -> str:
    return await work("a") + await work.options(inline=True)("b")


@workflow(name="local_away_breaks")
async def breaks() -> str:
    return await once("once")


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    ran.clear()
    codec.error = None
    monkeypatch.setattr(logging.getLogger("worldflow"), "disabled", True)


def pass_two_hours(system: LocalSystem) -> None:
    until = system.clock.now() + timedelta(hours=2)
    while (due := system.next_due()) and due < until:
        assert skip(system)
    system.clock.forward(until)


def test_turns_and_steps_go_on_when_it_is_back(tmp_path: Path) -> None:
    with local_system(tmp_path / "runs.db") as system:
        system.world.codec = codec
        starting.start(system.world, "r", plain, {})
        codec.error = TimeoutError()
        system.settle()
        pass_two_hours(system)
        codec.error = None

        assert finish(system, "r").result == "ab"
        assert not [event for event in system.world.load_history("r") if isinstance(event, StepFailed)]


def test_what_has_run_at_most_once_keeps_its_outcome_until_then(tmp_path: Path) -> None:
    with local_system(tmp_path / "runs.db") as system:
        system.world.codec = codec
        starting.start(system.world, "r", breaks, {})
        for _ in range(20):
            with pytest.raises(ConnectionError):  # after which the worker pauses
                system.settle()
        codec.error = None

        assert finish(system, "r").result == "once"
        assert ran["once"] == 1
