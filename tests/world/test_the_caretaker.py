"""The function that looks after runs: it wakes, and archives, and says what it did."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.support.systems import AWSSystem, finish, start
from tests.support.workflows import chain
from worldflow.aws_handlers import create_caretaker_handler
from worldflow.runtime import sweep as sweeping
from worldflow.worlds import AWSWorld
from worldflow.worlds.aws import webhook_keys


class Hurried:
    """The context of a function with hardly any time."""

    def get_remaining_time_in_millis(self) -> int:
        return 19_000


@pytest.fixture
def old_runs(aws: AWSSystem) -> list[str]:
    """Runs that ended a week ago."""
    names = ["one", "two"]
    for name in names:
        start(aws, name, chain, length=1)
        finish(aws, name)
    aws.clock.forward(aws.clock.now() + timedelta(days=7))
    return names


def caretaker(aws: AWSSystem, retention_days: int) -> Any:
    settings = aws.world.settings.model_copy(update={"retention_days": retention_days})
    world = AWSWorld(settings, session=aws.stack.session)
    world.now = aws.clock.now  # type: ignore[method-assign]
    return create_caretaker_handler(world)


@pytest.mark.time_of_day
def test_it_archives_what_is_older_than_the_setting(aws: AWSSystem, old_runs: list[str]) -> None:
    assert caretaker(aws, retention_days=6)({})["archive"] == {"archived": 2, "failed": 0, "complete": True}
    assert aws.world.get_run("one") is None
    assert aws.world.read_run("one").result == 1


def test_it_leaves_what_is_younger(aws: AWSSystem, old_runs: list[str]) -> None:
    assert caretaker(aws, retention_days=8)({})["archive"] == {"archived": 0, "failed": 0, "complete": True}
    assert aws.world.get_run("one")


def test_without_the_setting_all_runs_are_kept(aws: AWSSystem, old_runs: list[str]) -> None:
    assert "archive" not in caretaker(aws, retention_days=0)({})
    assert aws.world.get_run("one")


def test_it_leaves_to_the_next_hour_what_it_has_no_time_for(aws: AWSSystem, old_runs: list[str]) -> None:
    look_after = caretaker(aws, retention_days=6)

    assert look_after({}, Hurried())["archive"] == {"archived": 0, "failed": 0, "complete": False}
    assert look_after({})["archive"]["archived"] == 2


def test_it_archives_also_where_the_sweep_fails_and_then_fails(
    aws: AWSSystem, old_runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError("no index")

    monkeypatch.setattr(sweeping, "sweep", fail)

    with pytest.raises(ConnectionError):
        caretaker(aws, retention_days=6)({})
    assert aws.world.get_run("one") is None


def test_it_changes_the_key_of_webhooks_when_secrets_manager_asks(
    aws: AWSSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(webhook_keys, "rotate", lambda world, event: asked.append(event))
    monkeypatch.setattr(sweeping, "sweep", lambda *_, **__: pytest.fail("it sweeps"))
    event = {"Step": "createSecret", "SecretId": "arn", "ClientRequestToken": "1"}

    assert caretaker(aws, retention_days=6)(event) == {}
    assert asked == [event]
