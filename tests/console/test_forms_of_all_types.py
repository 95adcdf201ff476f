"""Fields of arguments of any type: what they show is what is sent, whatever the arguments are called."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from html import unescape
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from tests.console.conftest import Pages
from tests.support.systems import System, finish, start
from worldflow import on_update, wait_for_signal, workflow
from worldflow.console import viewing


class Size(enum.Enum):
    SMALL = "s"
    LARGE = "l"


class Options(BaseModel):
    loud: bool = False
    tries: int = 1


@workflow
async def console_all_types(
    size: Size = Size.LARGE,
    at: datetime = datetime(2026, 1, 2, tzinfo=UTC),
    options: Options = Options(loud=True, tries=5),  # noqa: B008
    maybe: bool | None = None,
    text: str = "one\ntwo",
    price: Decimal = Decimal("1.50"),
    level: Literal[1, 2] = 2,
    *rest: int,
    **named: str,
) -> Any:
    return [size, at, options, maybe, text, price, level, list(rest), named]


@workflow
async def console_nullable(number: int | None, name: str | None = "Ada", note: str = "none") -> Any:
    return [number, name, note]


@workflow
async def console_names(token: str, run_id: str, action_id: str, name: str, _value: str) -> list[str]:
    return [token, run_id, action_id, name, _value]


@workflow
async def console_renames() -> list[str]:
    heard: list[str] = []

    @on_update("rename")
    def rename(name: str) -> None:
        heard.append(name)

    await wait_for_signal("go")
    return heard


@workflow
async def console_fails_on(text: str | None = None, by: int = 1) -> Any:
    return [text, 12 // by]


def test_a_form_sent_as_it_is_shown_gives_the_defaults(system: System, pages: Pages) -> None:
    sent = _shown(pages.text("/start", workflow="console_all_types"))
    pages.send("/start?workflow=console_all_types", {**sent, ".run_id": "shown"})
    expected = ["l", "2026-01-02T00:00:00Z", {"loud": True, "tries": 5}, None, "one\ntwo", "1.50", 2, [], {}]
    assert finish(system, "shown").result == expected


def test_what_takes_any_number_of_arguments_has_a_list_and_an_object(system: System, pages: Pages) -> None:
    given = {"rest": "[1, 2]", "named": '{"a": "b"}', "maybe": "false", "options.loud": "true", ".run_id": "any"}
    pages.send("/start?workflow=console_all_types", given)
    result = finish(system, "any").result
    assert (result[3], result[-2:]) == (False, [[1, 2], {"a": "b"}])


def test_an_emptied_field_is_empty_and_not_its_default(system: System, pages: Pages) -> None:
    pages.send("/start?workflow=console_nullable", {"number": "", "name": "", "note": "", ".run_id": "empty"})
    assert finish(system, "empty").result == [None, None, ""]


def test_arguments_may_have_the_names_of_what_forms_have_besides(system: System, pages: Pages) -> None:
    page = pages.text("/start", workflow="console_names")
    names = re.findall(r'<input [^>]*\bname="([^"]+)"', page.partition('method="post"')[2])
    assert len(names) == len(set(names)) == 8
    given = {"token": "t", "run_id": "r", "action_id": "a", "name": "n", "_value": "v", ".run_id": "named"}
    pages.send("/start?workflow=console_names", given)
    assert finish(system, "named").result == ["t", "r", "a", "n", "v"]


def test_the_argument_of_an_update_may_be_called_name(system: System, pages: Pages) -> None:
    start(system, "renames", console_renames)
    form = pages.text("/runs/renames").partition("Send update rename")[2].partition("</form>")[0]
    assert re.findall(r'\bname="([^"]+)"', form) == [".token", ".action_id", ".name", "name"]


def test_a_retry_with_an_emptied_field_does_not_keep_what_the_run_had(system: System, pages: Pages) -> None:
    start(system, "kept", console_fails_on, text="old", by=0)
    done = pages.send("/runs/kept/rerun", {"text": "", "by": "4"}, page="/runs/kept")
    assert done.status == 303, done.text
    assert finish(system, "kept~2").result == [None, 3]


def test_lines_of_a_text_are_kept(system: System, pages: Pages) -> None:
    start(system, "lines", console_fails_on, text="\none\ntwo", by=0)
    shown = _shown(pages.text("/runs/lines").partition("Retry with another input")[2])
    pages.send("/runs/lines/rerun", {**shown, "text": shown["text"].replace("\n", "\r\n"), "by": "3"})
    assert finish(system, "lines~2").result == ["\none\ntwo", 4]


def test_json_that_is_nested_too_deep_is_refused(pages: Pages) -> None:
    answer = pages.send("/start?workflow=elsewhere", {"input": "[" * 50_000, ".run_id": "deep"})
    assert answer.status == 422 and "must be JSON" in answer.text


def test_a_run_id_that_is_taken_is_said_so(system: System, pages: Pages) -> None:
    start(system, "taken", console_renames)
    answer = pages.send("/start?workflow=console_nullable", {"number": "1", ".run_id": "taken"})
    assert answer.status == 422 and "already exists" in answer.text
    assert 'name=".run_id" maxlength="100" value="taken"' in answer.text and 'name="number" value="1"' in answer.text


def _shown(page: str) -> dict[str, str]:
    """The typed fields of a form as a browser sends them."""
    page = page.partition('method="post"')[2] or page
    page = page.partition("</form>")[0]
    sent = {}
    for tag in re.findall(r"<input [^>]*>", page):
        name = re.search(r'\bname="([^"]+)"', tag)
        value = re.search(r'\bvalue="([^"]*)"', tag)
        if name and not name[1].startswith(".") and ("checkbox" not in tag or " checked" in tag):
            # A browser takes the lines out of such a field.
            sent[name[1]] = unescape(value[1] if value else "").replace("\n", "")
    for name, text in re.findall(r'<textarea [^>]*\bname="([^"]+)"[^>]*>(.*?)</textarea>', page, re.S):
        sent[name] = unescape(text).removeprefix("\n")
    for name, options in re.findall(r'<select [^>]*\bname="([^"]+)"[^>]*>(.*?)</select>', page, re.S):
        chosen = re.search(r"<option selected>([^<]*)", options) or re.search(r"<option[^>]*>([^<]*)", options)
        sent[name] = unescape(chosen[1]) if chosen else ""
    return sent


def test_an_input_that_is_not_shown_is_kept_but_for_what_is_given(
    system: System, pages: Pages, open_pages: Callable[..., Pages], monkeypatch: pytest.MonkeyPatch
) -> None:
    start(system, "big", console_fails_on, text="x" * 300_000, by=0)
    monkeypatch.setattr(viewing, "LARGE", 100_000)
    start(system, "small", console_fails_on, text="kept", by=0)
    blind = open_pages(payloads=False)
    assert "Too large for this page." in pages.text("/runs/big")
    for console, run, size in ((pages, "big", 300_000), (blind, "small", 4)):
        form = console.text(f"/runs/{run}").partition("Retry with another input")[2].partition("</form>")[0]
        assert re.findall(r'<textarea [^>]*\bname="([^"]+)"', form) == [".input"]
        wrong = console.send(f"/runs/{run}/rerun", {".input": "[1]"})
        assert wrong.status == 422 and "must be a JSON object" in wrong.text.partition('name=".input"')[2]
        console.send(f"/runs/{run}/rerun", {".input": '{"by": 4}'})
        result = finish(system, f"{run}~2").result
        assert (len(result[0]), result[1]) == (size, 3)
