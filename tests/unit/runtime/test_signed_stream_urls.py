"""The URL that reads one stream of one run: what it holds, until when it is good, and what is none of ours."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest

from tests.support.driver import START
from worldflow import ConfigurationError, InvalidInputError
from worldflow.runtime import Orchestrator
from worldflow.runtime.stream_urls import Reader, reader_of, stream_url
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
    def __init__(self, address: str | None = "https://shop.example/in/webhooks") -> None:
        super().__init__(clock=lambda: START)
        self.webhooks: Keys = Keys(self._database, address)


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def token(world: World, run_id: str = "order~2", name: str = "answer") -> str:
    return stream_url(world, run_id, name, "2d").rpartition("/")[2]


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_it_names_the_run_the_stream_and_its_end(world: World) -> None:
    until = int((START + timedelta(days=2)).timestamp())
    assert reader_of(world, token(world)) == Reader("order~2", "answer", until)


@pytest.mark.parametrize(
    ("address", "above"),
    [
        ("https://shop.example/in/webhooks", "https://shop.example/in"),
        ("https://shop.example/hooks/", "https://shop.example"),
        ("https://shop.example", "https://shop.example"),
    ],
)
def test_it_is_beside_the_address_of_webhooks(address: str, above: str) -> None:
    world = World(address)
    base, _, last = stream_url(world, "r", "answer").rpartition("/")
    assert (base, reader_of(world, last) is not None) == (f"{above}/streams", True)
    world.close()


def test_a_world_without_an_address_has_none() -> None:
    world = World(None)
    with pytest.raises(ConfigurationError, match="webhooks need a URL"):
        stream_url(world, "r", "answer")
    world.close()


async def test_a_handle_gives_it_out(world: World) -> None:
    run = Orchestrator(world).run("r")
    reader = reader_of(world, (await run.stream_url("answer", expires="30m")).rpartition("/")[2])
    assert reader == Reader("r", "answer", int((START + timedelta(minutes=30)).timestamp()))


def test_so_does_one_without_asyncio(world: World) -> None:
    url = Orchestrator(world).sync.run("r").stream_url("answer")
    reader = reader_of(world, url.rpartition("/")[2])
    assert reader == Reader("r", "answer", int((START + timedelta(hours=1)).timestamp()))


@pytest.mark.parametrize("expires", ["0s", "367d", timedelta(0)])
def test_its_life_has_limits(world: World, expires: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        stream_url(world, "r", "answer", expires)
    assert [field.field for field in refused.value.fields] == ["expires"]


def test_it_is_of_a_stream_that_can_be(world: World) -> None:
    with pytest.raises(InvalidInputError):
        stream_url(world, "r", "a/b")


@pytest.mark.parametrize("key", KEYS)
def test_every_key_is_good_and_the_newest_signs(world: World, key: bytes) -> None:
    world.webhooks.current = [key]
    signed = token(world)
    world.webhooks.current = KEYS
    assert reader_of(world, signed)
    assert (signed == token(world)) == (key == KEYS[0])
    world.webhooks.current = [other for other in KEYS if other != key]
    assert reader_of(world, signed) is None


def test_a_key_that_is_new_is_asked_for(world: World) -> None:
    world.webhooks.current = [b"a new key"]
    signed = token(world)
    world.webhooks.current = KEYS
    assert reader_of(world, signed) is None
    world.webhooks.newer = [b"a new key", *KEYS]
    assert reader_of(world, signed)


def test_what_is_changed_in_a_token_is_found_out(world: World) -> None:
    name, expires, signature = token(world).split(".")
    other_run, other_stream = _base64(b"order~3/answer"), _base64(b"order~2/thoughts")
    for changed in (
        f"{other_run}.{expires}.{signature}",
        f"{other_stream}.{expires}.{signature}",
        f"{name}.{int(expires, 16) + 86_400:x}.{signature}",
        f"{name}.0x{expires}.{signature}",
        f"{name}.{signature}",
        f"{name}=.{expires}.{signature}",
        f"{name}.{expires}.{signature}=",
        f"{name}..{signature}",
        f"{name}.{expires}.",
        f".{expires}.{signature}",
        "",
        ".",
        "..",
        "\udcff.a.b",
        "é.é.é",
    ):
        assert reader_of(world, changed) is None, changed
    assert reader_of(world, f"{name}.{expires}.{signature}")


def test_the_token_of_a_webhook_reads_no_stream(world: World) -> None:
    assert reader_of(world, WebhooksOf(world).token("r", "answer", START + timedelta(days=1))) is None
    # Nor does one of 0.2.0, which had no expiry.
    old = hmac.digest(KEYS[0], b"worldflow webhook r/answer", hashlib.sha256)
    assert reader_of(world, f"{_base64(b'r/answer')}.{_base64(old)}") is None


def test_the_token_of_a_stream_is_no_webhook(world: World) -> None:
    from worldflow.runtime.webhooks import receive

    assert receive(world, token(world), method="POST").status == 404
