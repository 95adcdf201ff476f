"""Data that a console may not show, or cannot: what pages say in its place."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping

import pytest

from tests.console.conftest import Pages
from tests.support.systems import System, start
from worldflow import PayloadCodecError, RetryPolicy, on_update, step, wait_for_signal, workflow
from worldflow.console import acting
from worldflow.runtime import updates

SECRET = "-".join("secret")  # which the source of the workflow does not contain


@step(retry=RetryPolicy(max_attempts=1))
async def console_hidden_step(secret: str) -> str:
    return secret


@workflow
async def console_hidden(secret: str) -> str:
    @on_update("tell")
    def tell(fails: bool) -> str:
        if fails:
            raise ValueError(secret)
        return secret

    await console_hidden_step(secret)
    await wait_for_signal("go")
    raise ValueError(secret)


@pytest.fixture
def answered(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """Updates are answered before a page looks for the answer."""
    look = updates.look_for_answer

    def settled(*args: object) -> object:
        system.settle()
        return look(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(acting.updates, "look_for_answer", settled)


@pytest.mark.usefixtures("answered")
@pytest.mark.parametrize(("fails", "said"), [("true", "was refused: ValueError"), ("", "answered with data that is")])
def test_the_answer_to_an_update_is_not_shown_without_payloads(
    system: System, open_pages: Callable[..., Pages], fails: str, said: str
) -> None:
    start(system, "hidden", console_hidden, secret=SECRET)
    blind, seeing = open_pages(payloads=False), open_pages()
    form = {".name": "tell", "fails": fails}
    page = blind.follow(blind.send("/runs/hidden/update", form, page="/runs/hidden"))
    assert said in page and SECRET not in page
    assert SECRET in seeing.follow(seeing.send("/runs/hidden/update", form, page="/runs/hidden"))


def test_why_code_cannot_be_replayed_is_not_shown_without_payloads(
    system: System, open_pages: Callable[..., Pages], monkeypatch: pytest.MonkeyPatch
) -> None:
    start(system, "hidden", console_hidden, secret=SECRET)

    def broken(*_: object) -> None:
        raise PayloadCodecError(SECRET)

    monkeypatch.setattr("worldflow.console.viewing.queries.replayed", broken)
    blind = open_pages(payloads=False).text("/runs/hidden/code")
    assert "cannot be replayed: PayloadCodecError" in blind and SECRET not in blind
    assert SECRET in open_pages().text("/runs/hidden/code")


class Reversed:
    def encode(self, data: bytes, context: Mapping[str, str]) -> bytes:
        return base64.b64encode(data)

    def decode(self, data: bytes, context: Mapping[str, str]) -> bytes:
        return base64.b64decode(data)


@pytest.fixture
def encoded(system: System) -> Iterator[None]:
    """Two runs whose data only a codec can read, which the console does not have."""
    system.world.codec = Reversed()
    start(system, "open", console_hidden, secret=SECRET)
    start(system, "failed", console_hidden, secret=SECRET)
    Pages(system.world).send("/runs/failed/signal", {".name": "go", "value": "1"})
    system.settle()
    system.world.codec = None
    yield


@pytest.mark.usefixtures("encoded")
@pytest.mark.parametrize("run", ["open", "failed"])
def test_pages_say_what_cannot_be_decoded(pages: Pages, run: str) -> None:
    for tab in ("", "/history"):
        page = pages.text(f"/runs/{run}{tab}")
        assert "Cannot be read here: " in page and "WORLDFLOW_PAYLOAD_CODEC" in page, tab
    for tab in ("/code", "/family", "/cost", "/streams"):
        pages.text(f"/runs/{run}{tab}")
    for tab in ("/agents", "/values/input", "/events/1"):
        answer = pages.get(f"/runs/{run}{tab}")
        assert answer.status == 503 and "WORLDFLOW_PAYLOAD_CODEC" in answer.text
    assert pages.get("/compare?a=open&b=failed").status == 503
    pages.text("/")


@pytest.mark.usefixtures("encoded")
def test_what_cannot_be_decoded_is_no_blank_form(pages: Pages) -> None:
    page = pages.text("/runs/failed")
    assert "Failed after" in page and "ValueError" in page


@pytest.mark.usefixtures("encoded")
def test_a_blocked_run_whose_reason_cannot_be_decoded_is_listed(system: System, pages: Pages) -> None:
    record = system.world.get_run("open")
    assert record is not None
    reason = '{"$encoded": "eA==", "run_id": "open"}'
    blocked = record.model_copy(update={"status": "blocked", "blocked_reason": reason, "seq": record.seq + 1})
    system.world.update_run(blocked)
    assert "Cannot be read here" in pages.text("/health")
