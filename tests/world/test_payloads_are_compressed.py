"""A codec that compresses, alone and before one that encrypts, in histories that were begun without it."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.systems import System, finish, signal, start
from worldflow import ConfigurationError, PayloadCodecError, step, wait_for_signal, workflow
from worldflow.codecs import Codecs, Compressed
from worldflow.engine.history import StepCompleted, dump_events
from worldflow.worlds.codec import load_codec

CONTEXT = {"run_id": "r"}
LONG = b'"' + b"the same words again and again, " * 200 + b'"'


class Reversed:
    """Stands for a codec that encrypts: nothing that it has encoded is clear."""

    def encode(self, data: bytes, context: Mapping[str, str]) -> bytes:
        return b"rev:" + data[::-1]

    def recognizes(self, data: bytes) -> bool:
        return data.startswith(b"rev:")

    def decode(self, data: bytes, context: Mapping[str, str]) -> bytes:
        if not self.recognizes(data):
            raise PayloadCodecError("not reversed")
        return data[4:][::-1]


@step
async def repeats_words(count: int) -> str:
    return "the same words again and again, " * count


@workflow
async def words_by_signal(counts: list[int]) -> list[int]:
    lengths = [len(await repeats_words(count)) for count in counts]
    await wait_for_signal("on", str)
    return [*lengths, len(await repeats_words(300))]


@pytest.mark.parametrize("codec", [Compressed(), Codecs(Compressed(), Reversed())], ids=["compressed", "in a row"])
def test_a_run_goes_on_with_a_codec_that_is_new_to_it(
    system: System, codec: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(system, "r", words_by_signal, counts=[1, 200])
    clear = len(dump_events(system.world.load_history("r")))

    monkeypatch.setattr(system.world, "codec", codec)
    signal(system, "r", "on", "on")
    assert finish(system, "r").result == [32, 6_400, 9_600]
    written = len(dump_events(system.world.load_history("r"))) - clear
    assert written < 3_000  # 9,600 without


def test_what_is_small_stays_readable(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system.world, "codec", Compressed())
    start(system, "r", words_by_signal, counts=[1])

    (done,) = [event for event in system.world.load_history("r") if isinstance(event, StepCompleted)]
    assert done.result == "the same words again and again, "


def test_what_would_become_no_smaller_is_left_as_it_is() -> None:
    noise = b'"' + bytes(range(48, 91)) * 30 + b'"'
    assert Compressed(above=0).encode(b'"ab"', CONTEXT) == b'"ab"'
    assert len(Compressed().encode(noise, CONTEXT)) < len(noise)


def test_a_codec_leaves_to_others_what_it_has_not_encoded() -> None:
    row = Codecs(Compressed(), Reversed())
    for codec in (Compressed(), Reversed(), row):
        assert row.decode(codec.encode(LONG, CONTEXT), CONTEXT) == LONG


def test_a_codec_that_recognizes_nothing_decodes_everything() -> None:
    class Plain:
        def encode(self, data: bytes, context: Mapping[str, str]) -> bytes:
            return zlib.compress(data)

        def decode(self, data: bytes, context: Mapping[str, str]) -> bytes:
            return zlib.decompress(data)

    row = Codecs(Plain(), Reversed())
    assert row.decode(row.encode(LONG, CONTEXT), CONTEXT) == LONG


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (LONG, "a codec other than Compressed"),
        (b"wfz1" + zlib.compress(LONG)[:-5], "is cut off"),
        (b"wfz1 nonsense", "is corrupt"),
    ],
    ids=["clear", "short", "wrong"],
)
def test_data_that_was_not_compressed_is_an_error(data: bytes, problem: str) -> None:
    with pytest.raises(PayloadCodecError, match=problem):
        Compressed().decode(data, CONTEXT)


def test_data_that_would_fill_the_memory_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worldflow.codecs.LARGEST", 1_000)
    with pytest.raises(PayloadCodecError, match="more than 1000 bytes"):
        Compressed().decode(Compressed().encode(LONG, CONTEXT), CONTEXT)


def test_the_environment_names_codecs_in_a_row() -> None:
    row = load_codec("worldflow.codecs:compressed, tests.world.test_payloads_are_compressed:Reversed")
    assert row is not None
    encoded = row.encode(LONG, CONTEXT)
    assert encoded.startswith(b"rev:") and len(encoded) < 200
    assert row.decode(encoded, CONTEXT) == LONG

    with pytest.raises(ConfigurationError, match=r"'worldflow\.codecs:compressed,nowhere:codec', which cannot"):
        load_codec("worldflow.codecs:compressed,nowhere:codec")


@pytest.mark.parametrize("wrong", [{"level": 10}, {"above": -1}, {"above": "1KB"}])
def test_a_setting_that_is_none_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        Compressed(**wrong)
