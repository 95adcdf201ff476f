"""The streams of a run as they are written, and what its agents and their models have said."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.console.conftest import Pages
from tests.support.systems import System, start
from worldflow import open_stream, step, wait_for_signal, workflow
from worldflow.console.conversing import Part, conversations
from worldflow.engine.history import StepCompleted, StepScheduled


@step
async def console_tells() -> None:
    async with open_stream("answer") as out:
        await out.write("Hello ")
        await out.write("<b>world</b>")
        await out.write({"event_kind": "part_delta", "delta": {"part_delta_kind": "text", "content_delta": "!"}})
        await out.write({"number": 1})


@workflow
async def console_telling() -> None:
    await console_tells()
    await wait_for_signal("go")


def words(page: str) -> str:
    return "".join(re.findall(r"<span data-offset=\"\d+\">([^<]*)</span>", page))


def test_a_stream_is_shown_and_followed(system: System, pages: Pages) -> None:
    start(system, "telling", console_telling)
    page = pages.text("/runs/telling/streams")
    assert words(page) == "Hello &lt;b&gt;world&lt;/b&gt;!"
    assert "{&#34;number&#34;: 1}" in page
    (more,) = re.findall(r'hx-get="(/runs/telling/streams/rows[^"]+)"', page)
    more = more.replace("&amp;", "&")
    assert words(pages.text(more)) == "" and "hx-get" in pages.text(more)
    pages.send("/runs/telling/signal", {".name": "go", "value": "1"})
    system.settle()
    assert "The stream has ended." in pages.text(more)


def test_the_timeline_shows_when_a_stream_was_written(system: System, pages: Pages) -> None:
    start(system, "telling", console_telling)
    page = pages.text("/runs/telling")
    assert '<span class="kind ">stream</span> <span>answer</span>' in page
    assert "<title>stream answer: written for" in page and 'class="stream"' in page


def test_a_run_without_streams_says_what_writes_one(system: System, pages: Pages) -> None:
    @workflow
    async def console_silent() -> None: ...

    start(system, "silent", console_silent)
    assert "open_stream()" in pages.text("/runs/silent/streams")
    assert "No agent has asked a model" in pages.text("/runs/silent/agents")


def test_without_payloads_streams_and_conversations_are_not_shown(
    system: System, open_pages: Callable[..., Pages]
) -> None:
    start(system, "telling", console_telling)
    blind = open_pages(payloads=False)
    assert "Hello" not in blind.text("/runs/telling/streams")
    assert blind.get("/runs/telling/streams/rows", name="answer").status == 404


def request(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "request", "run_id": "call-1", "parts": list(parts)}


PROMPT = request({"part_kind": "user-prompt", "content": "weather?"})
CALL: dict[str, Any] = {
    "kind": "response",
    "run_id": "call-1",
    "parts": [{"part_kind": "tool-call", "tool_name": "weather", "args": {"city": "Graz"}}],
}
RETURN = request({"part_kind": "tool-return", "tool_name": "weather", "content": "sunny"})
ANSWER = {"kind": "response", "run_id": "call-1", "parts": [{"part_kind": "text", "content": "It is sunny."}]}


def test_each_message_of_a_conversation_is_shown_once() -> None:
    usage = [{"model": "m", "input_tokens": 51, "output_tokens": 10}]
    events = [
        StepScheduled(step_id="s1", name="bot.model", input={"messages": [PROMPT]}).model_copy(update={"seq": 2}),
        StepCompleted(step_id="s1", attempt=1, result=CALL, usage=usage).model_copy(update={"seq": 3}),
        StepScheduled(step_id="s3", name="bot.model", input={"messages": [PROMPT, CALL, RETURN]}),
        StepCompleted(step_id="s3", attempt=1, result=ANSWER).model_copy(update={"seq": 9}),
    ]
    (one,) = conversations(events, {"m": {"input": 3, "output": 15}})
    assert one.agent == "bot"
    assert [part for said in one.messages for part in said.parts] == [
        Part("user", "weather?"),
        Part("calls", '{"city": "Graz"}', "weather"),
        Part("returns", "sunny", "weather"),
        Part("answer", "It is sunny."),
    ]
    assert [(said.seq, said.tokens) for said in one.messages if said.seq] == [
        (3, "51 + 10 tokens of m ($0.000303)"),
        (9, ""),
    ]


def test_steps_that_ask_no_model_are_no_conversation() -> None:
    assert conversations([StepScheduled(step_id="s1", name="send", input={"messages": ["hi"]})], {}) == []


@step
async def console_tells_much() -> None:
    async with open_stream("numbers", int) as out:
        for number in range(2_500):
            await out.write(number)


@workflow
async def console_telling_much() -> None:
    await console_tells_much()


def numbers(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'<div class="row" data-offset="\d+">(\d+)</div>', page)]


def test_a_long_stream_begins_with_its_newest_rows_and_leads_to_the_others(system: System, pages: Pages) -> None:
    start(system, "telling-much", console_telling_much)
    found: list[int] = []
    path: str | None = "/runs/telling-much/streams?name=numbers"
    while path:
        page = pages.text(path)
        assert len(numbers(page)) <= 1_000
        found = numbers(page) + found
        hidden = re.search(r'id="earlier"[^>]* href="([^"]+)"( hidden)?', page)
        assert hidden
        path = None if hidden[2] else "/runs/telling-much/streams" + hidden[1].replace("&amp;", "&")
    assert sorted(set(found)) == list(range(2_500))
    assert len(found) == 3_000  # the first page is a whole one


def test_an_earlier_page_leads_to_the_later_rows_and_follows_nothing(system: System, pages: Pages) -> None:
    start(system, "telling-much", console_telling_much)
    page = pages.text("/runs/telling-much/streams", name="numbers", after="0")
    assert numbers(page) == list(range(1_000)) and "streams/rows" not in page
    (later,) = re.findall(r'rel="next" href="([^"]+)"', page)
    page = pages.text("/runs/telling-much/streams" + later.replace("&amp;", "&"))
    assert numbers(page) == list(range(1_000, 2_000))
