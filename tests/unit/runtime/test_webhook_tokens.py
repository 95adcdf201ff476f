"""The token in a webhook's URL: what it holds, until when it is good, and what is no token of ours."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.driver import START
from worldflow.engine.history import HookCreated
from worldflow.engine.workflow.webhooks import LONGEST_LIFE
from worldflow.runtime.webhooks import receive
from worldflow.turns.webhook_tokens import WebhooksOf
from worldflow.worlds import LocalWorld
from worldflow.worlds.local.webhooks import LocalWebhooks

pytestmark = pytest.mark.time_of_day

KEYS = [b"the newest key", b"the one before it", b"the oldest"]


class Keys(LocalWebhooks):
    current: Sequence[bytes] = KEYS
    newer: Sequence[bytes] = ()

    def keys(self) -> Sequence[bytes]:
        return self.current

    def newer_keys(self) -> Sequence[bytes]:
        return self.newer


class World(LocalWorld):
    def __init__(self) -> None:
        self.time = START
        super().__init__(clock=lambda: self.time)
        self.webhooks: Keys = Keys(self._database, "https://example.test")
        self.looked_up: list[str] = []

    def get_item(self, key: str) -> Any:
        if key.startswith("hook#"):
            self.looked_up.append(key.removeprefix("hook#"))
        return super().get_item(key)


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def of_0_2_0(key: bytes, name: str = "r/h1") -> str:
    """A token as that version made it."""
    signature = hmac.digest(key, b"worldflow webhook " + name.encode(), hashlib.sha256)
    return f"{_base64(name.encode())}.{_base64(signature)}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(world: World, life: timedelta = LONGEST_LIFE) -> str:
    return WebhooksOf(world).token("r", "h1", world.time + life)


def answer(world: World, token: str) -> tuple[int, str]:
    answer = receive(world, token, method="POST")
    return answer.status, answer.body.decode()


def is_taken(world: World, token: str) -> bool:
    """Whether it gets as far as the look-up of its hook, which there is none of."""
    world.looked_up.clear()
    status, _ = answer(world, token)
    assert status == (410 if world.looked_up else 404)
    return bool(world.looked_up)


@pytest.mark.parametrize("key", KEYS)
def test_every_key_is_good_and_the_newest_signs(world: World, key: bytes) -> None:
    world.webhooks.current = [key]
    signed = token(world)
    world.webhooks.current = KEYS
    assert is_taken(world, signed)
    assert (signed == token(world)) == (key == KEYS[0])


@pytest.mark.parametrize("key", KEYS)
def test_tokens_of_0_2_0_are_good_for_as_long_as_their_key(world: World, key: bytes) -> None:
    signed = of_0_2_0(key)
    world.time += timedelta(days=5_000)
    assert is_taken(world, signed)
    world.webhooks.current = [other for other in KEYS if other != key]
    assert not is_taken(world, signed)


def test_every_key_is_compared_with_whichever_it_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []
    compare = hmac.compare_digest

    def note(one: bytes, other: bytes) -> bool:
        compared.append(len(one))
        return compare(one, other)

    signed = [of_0_2_0(key) for key in (*KEYS, b"none of ours")]
    monkeypatch.setattr(hmac, "compare_digest", note)
    for one in signed:
        compared.clear()
        answer(world, one)
        assert compared == [len(one)] * len(KEYS)


def test_a_key_that_is_new_is_asked_for(world: World) -> None:
    signed = of_0_2_0(b"a new key")
    assert not is_taken(world, signed)
    world.webhooks.newer = [b"a new key", *KEYS]
    assert is_taken(world, signed)


def test_a_token_expires(world: World) -> None:
    signed = token(world, timedelta(days=2))
    world.time += timedelta(days=2, seconds=-1)
    assert is_taken(world, signed)
    world.time += timedelta(seconds=1)
    assert answer(world, signed)[0] == 410
    assert "expired" in answer(world, signed)[1]
    assert world.looked_up == [signed]  # before that, and not after


def test_what_is_changed_in_a_token_is_found_out(world: World) -> None:
    name, expires, signature = token(world, timedelta(days=2)).split(".")
    later = f"{int(expires, 16) + 86_400:x}"
    other = _base64(b"other/h1")
    until = _base64(f"expiring webhook {expires} r/h1".encode())
    for changed in (
        f"{name}.{later}.{signature}",
        f"{name}.{expires.upper()}0.{signature}",
        f"{name}.0x{expires}.{signature}",
        f"{name}.{signature}",  # as one of 0.2.0, without an expiry
        f"{until}.{signature}",
        f"{other}.{expires}.{signature}",
        f"{name}=.{expires}.{signature}",  # another spelling of the same name
        f"{name}!.{expires}.{signature}",
        f"{name}.{expires}.{signature}=",
        f"{name}.{expires}.{signature}.",
        f"{name}..{signature}",
        f"{name}.{expires}.",
        f".{expires}.{signature}",
        "",
        ".",
        "..",
        "\udcff.a.b",
        "é.é.é",
    ):
        assert not is_taken(world, changed), changed
    assert is_taken(world, f"{name}.{expires}.{signature}")
    # And one of 0.2.0 does not become one that expires.
    old = of_0_2_0(KEYS[0]).rpartition(".")[2]
    assert not is_taken(world, f"{name}.{later}.{old}")


def test_a_fork_has_its_own_for_as_long(world: World) -> None:
    made = HookCreated(hook_id="h1", token=token(world, timedelta(days=2)), at=world.time)
    old = HookCreated(hook_id="h1", token=of_0_2_0(KEYS[0]), at=world.time)
    world.time += timedelta(days=100)
    for hook, life in ((made, timedelta(days=2)), (old, LONGEST_LIFE)):
        expires = int(WebhooksOf(world).another("f", hook).split(".")[1], 16)
        assert datetime.fromtimestamp(expires, UTC) == world.time + life
