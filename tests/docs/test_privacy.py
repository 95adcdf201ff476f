"""The code of docs/guide/privacy.md, run."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from worldflow import FatalError, PayloadCodecError, RunFailedError, set_redactor, step, workflow
from worldflow.encryption import kms_codec
from worldflow.engine.history import dump_events
from worldflow.testing import WorkflowEnvironment
from worldflow.worlds import LocalWorld


class Rotated:
    """A toy: no secret is kept by it."""

    def encode(self, data: bytes, context: Mapping[str, str]) -> bytes:
        return b"rot:" + bytes((byte + 13) % 256 for byte in data)

    def recognizes(self, data: bytes) -> bool:
        return data.startswith(b"rot:")

    def decode(self, data: bytes, context: Mapping[str, str]) -> bytes:
        if not self.recognizes(data):
            raise PayloadCodecError(f"the data of {context['run_id']} is not rotated")
        return bytes((byte - 13) % 256 for byte in data[4:])


@pytest.fixture(autouse=True)
def _no_redactor() -> Iterator[None]:
    yield
    set_redactor(None)


@step
async def charge_card(card: str) -> None:
    raise FatalError(f"{card} is refused")


@workflow
async def pay_by_card(card: str) -> None:
    await charge_card(card)


async def test_a_codec_of_ones_own() -> None:
    async with WorkflowEnvironment() as env:
        env.world.codec = Rotated()
        run = await env.start(pay_by_card, "4242424242424242")
        with pytest.raises(RunFailedError, match="4242424242424242 is refused"):
            await run.result()
        written = dump_events(env.world.load_history(run.id))
        assert "4242" not in written
        with pytest.raises(PayloadCodecError, match="the data of x is not rotated"):
            Rotated().decode(b"4242", {"run_id": "x"})


def test_codecs_in_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from worldflow.codecs import Codecs, Compressed

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORLDFLOW_PAYLOAD_KEYS", "alias/orders")
    world = LocalWorld("runs.db", codec=Codecs(Compressed(above=4096), kms_codec()))

    assert isinstance(world.codec, Codecs)


async def test_a_redactor() -> None:
    set_redactor(lambda text: re.sub(r"\b\d{13,19}\b", "<card>", text))

    async with WorkflowEnvironment() as env:
        run = await env.start(pay_by_card, "4242424242424242")
        with pytest.raises(RunFailedError, match="<card> is refused"):
            await run.result()
