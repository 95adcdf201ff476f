"""Failures that were recorded elsewhere, variables of the environment, and requests to webhooks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.support.outside import extremes, fuzz, outside, texts
from worldflow.engine.errors import ConfigurationError, ContinueAsNew
from worldflow.engine.history import Failure
from worldflow.engine.history.failures import decode_exception, encode_exception
from worldflow.runtime import webhooks
from worldflow.runtime.stream_urls import reader_of, stream_url
from worldflow.settings import Settings
from worldflow.turns import webhook_tokens
from worldflow.worlds import LocalWorld
from worldflow.worlds.payloads import fetch

TYPES = [
    f"{cls.__module__}:{cls.__qualname__}"
    for cls in [*Exception.__subclasses__(), *BaseException.__subclasses__(), *OSError.__subclasses__()]
    if cls.__module__ in ("builtins", "asyncio.exceptions", "worldflow.engine.errors", "pydantic_core._pydantic_core")
]
DETAIL = {"type": "x", "loc": [], "msg": "{}", "input": 1, "ctx": {}}
FAILURES = [
    Failure(type=name, message="no", args=args, state={"details": [], "run_id": 1}, notes=["n"]).model_dump(mode="json")
    for name in [
        *TYPES,
        "json:JSONDecodeError",
        "sys:modules",
        "os:environ",
        "os:path.join",
        "no.module:X",
        ":",
        "a:b:c",
    ]
    for args in (
        None,
        [],
        ["no"],
        [1, 2, 3, 4, 5],
        ["t", [{"type": "x", "loc": [], "msg": "{}", "input": 1, "ctx": {}}]],
    )
]


def test_every_exception_there_is_with_arguments_that_it_may_not_take() -> None:
    for failure in FAILURES:
        assert isinstance(decode_exception(Failure.model_validate(failure)), BaseException)


@fuzz
@given(outside(FAILURES))
def test_a_failure_is_an_exception_whatever_it_says(text: bytes) -> None:
    try:
        failure = Failure.model_validate_json(text)
    except ValidationError:
        return
    modules = set(sys.modules)
    error = decode_exception(failure)
    assert not isinstance(error, SystemExit | KeyboardInterrupt | GeneratorExit | StopIteration)
    assert set(sys.modules) == modules
    encode_exception(error)


def test_nothing_is_imported_because_a_failure_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    lazy = ModuleType("lazy")
    lazy.__getattr__ = asked.append  # type: ignore[method-assign]
    monkeypatch.setitem(sys.modules, "lazy", lazy)
    decode_exception(Failure(type="lazy:Heavy.Error", args=[]))
    assert asked == []


def test_a_failure_does_not_continue_the_run_as_new() -> None:
    assert not isinstance(decode_exception(encode_exception(ContinueAsNew({}))), ContinueAsNew)


def test_causes_as_deep_as_json_goes() -> None:
    failure = Failure(type="builtins:ValueError", args=["0"])
    for depth in range(150):
        failure = Failure(type="builtins:ValueError", args=[str(depth)], cause=failure)
    error: Any = decode_exception(Failure.model_validate_json(failure.model_dump_json()))
    assert str(error) == "149"
    encode_exception(error)


REQUIRED = [f"WORLDFLOW_{name.upper()}" for name, field in Settings.model_fields.items() if field.is_required()]
VARIABLES = sorted(f"WORLDFLOW_{name.upper()}" for name in Settings.model_fields)


@fuzz
@given(st.dictionaries(st.sampled_from(VARIABLES), texts | st.sampled_from(["1", "-1", "1e9", "x-steps.fifo"])))
def test_settings(given: dict[str, str]) -> None:
    environment = dict.fromkeys(REQUIRED, "there") | given
    try:
        settings = Settings.from_environment(environment)
    except ConfigurationError as error:
        assert any(name in str(error) for name in VARIABLES)
        return
    assert settings.history_limit >= 100
    assert all(workflow.strip() for workflow in settings.workflows)


@pytest.mark.parametrize("text", ["many", "99", "-1", "1e400", "NaN", "9" * 5_000, "\u0663"])
def test_a_setting_that_does_not_fit_is_named(text: str) -> None:
    with pytest.raises(ConfigurationError, match="WORLDFLOW_HISTORY_LIMIT is not valid"):
        Settings.from_environment(dict.fromkeys(REQUIRED, "there") | {"WORLDFLOW_HISTORY_LIMIT": text})


@pytest.fixture(scope="module")
def world() -> Iterator[LocalWorld]:
    with closing(LocalWorld(webhook_url="http://localhost/webhooks")) as world:
        yield world


characters = texts.filter(lambda text: "\ud800" not in text)


def test_a_token_of_half_a_character(world: LocalWorld) -> None:
    assert webhooks.receive(world, "\ud800", method="POST").status == 404


@fuzz
@given(st.data())
def test_requests_to_webhooks(world: LocalWorld, data: st.DataObject) -> None:
    genuine = webhook_tokens.WebhooksOf(world).token("r", "h1", world.now() + timedelta(days=1))
    cut = data.draw(st.integers(0, len(genuine)), "cut")
    forged = characters | st.just(genuine[:cut]) | characters.map(lambda text: genuine[:cut] + text)
    token = data.draw(forged | st.just(genuine), "token")
    pairs = st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=3)
    answer = webhooks.receive(
        world,
        token,
        method=data.draw(st.sampled_from(["GET", "POST", "BREW", ""]) | characters, "method"),
        body=data.draw(st.binary(), "body"),
        headers=data.draw(pairs, "headers"),
        query=data.draw(pairs, "query"),
    )
    assert answer.status == (410 if token == genuine else 404)


@fuzz
@given(st.data())
def test_tokens_of_streams(world: LocalWorld, data: st.DataObject) -> None:
    genuine = stream_url(world, "r", "answer").rpartition("/")[2]
    cut = data.draw(st.integers(0, len(genuine)), "cut")
    forged = texts | st.just(genuine[:cut]) | texts.map(lambda text: genuine[:cut] + text)
    token = data.draw(forged | st.just(genuine), "token")
    assert (reader_of(world, token) is not None) == (token == genuine)


@fuzz
@given(extremes.filter(lambda value: not (isinstance(value, dict) and "$payload" in value)))
def test_a_value_that_is_no_reference_is_itself(world: LocalWorld, value: Any) -> None:
    assert fetch(world, value) is value
