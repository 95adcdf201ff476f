"""The code of docs/guide/privacy.md, run."""

import re
import zlib
from collections.abc import Iterator, Mapping

import pytest

from worldflow import FatalError, PayloadCodecError, RunFailedError, set_redactor, step, workflow
from worldflow.engine.history import dump_events
from worldflow.testing import WorkflowEnvironment


class Zipped:
    """Smaller, and no secret."""

    def encode(self, data: bytes, context: Mapping[str, str]) -> bytes:
        return zlib.compress(data)

    def decode(self, data: bytes, context: Mapping[str, str]) -> bytes:
        try:
            return zlib.decompress(data)
        except zlib.error as error:
            raise PayloadCodecError(f"the data of {context['run_id']} is not compressed") from error


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
        env.world.codec = Zipped()
        run = await env.start(pay_by_card, "4242424242424242")
        with pytest.raises(RunFailedError, match="4242424242424242 is refused"):
            await run.result()
        written = dump_events(env.world.load_history(run.id))
        assert "4242" not in written
        with pytest.raises(PayloadCodecError, match="the data of x is not compressed"):
            Zipped().decode(b"4242", {"run_id": "x"})


async def test_a_redactor() -> None:
    set_redactor(lambda text: re.sub(r"\b\d{13,19}\b", "<card>", text))

    async with WorkflowEnvironment() as env:
        run = await env.start(pay_by_card, "4242424242424242")
        with pytest.raises(RunFailedError, match="<card> is refused"):
            await run.result()
