"""A file's name with a byte that is no UTF-8 has half of a character in Python: an error where it is said."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.driver import Drive, raised
from tests.support.steps import work
from worldflow import (
    InvalidInputError,
    SerializationError,
    create_hook,
    deprecate_patch,
    patched,
    publish,
    set_attributes,
    set_status,
    workflow,
)
from worldflow.engine.history import StepFailed, dump_events, load_events
from worldflow.engine.history.failures import decode_exception, encode_exception
from worldflow.engine.ids import check_id, check_name, check_run_id
from worldflow.engine.values.serialization import Codec
from worldflow.engine.workflow.webhooks import response
from worldflow.turns.other_runs import brief

NAME = b"caf\xe9".decode("utf-8", "surrogateescape")
OTHER = b"caf\xe8".decode("utf-8", "surrogateescape")

SAID: list[tuple[Callable[[], Any], str]] = [
    (lambda: set_status(f"reading {NAME}"), "status"),
    (lambda: set_attributes(**{NAME: 1}), "attribute name"),
    (lambda: set_attributes(file=NAME), "file"),
    (lambda: patched(NAME), "change_id"),
    (lambda: deprecate_patch(NAME), "change_id"),
    (lambda: publish(NAME, 1), "name"),
    (lambda: create_hook(metadata={"file": NAME}), "value['file']"),
    (lambda: create_hook(metadata={NAME: 1}), f"value[{NAME!r}]"),
]


@pytest.mark.parametrize("number", range(len(SAID)))
def test_it_is_refused_where_it_is_said_and_the_run_goes_on(drive: Drive, number: int):
    say, path = SAID[number]

    @workflow
    async def saying() -> str:
        try:
            say()
        except SerializationError as error:
            return error.path + await work()
        return ""

    run = drive(saying)
    run.complete("s1", "!")
    assert run.result() == path + "!"


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (str, NAME),
        (Any, [NAME]),
        (dict[str, int], {NAME: 1}),
        (dict[str, int], {NAME: 1, OTHER: 2}),
        (dict, {NAME: 1}),
        (Any, {"a": {NAME: 1, OTHER: 2}}),
        (dict[str, dict[str, int]], {"a": {NAME: 1}}),
        (dict[str | int, int], {NAME: 1}),
    ],
)
def test_no_value_holds_it(annotation: Any, value: Any):
    with pytest.raises(SerializationError) as caught:
        Codec(annotation, "value").encode(value)
    assert caught.value.path.startswith("value")
    assert "UTF-8" in str(caught.value) or "utf-8" in str(caught.value)
    str(caught.value).encode()


@pytest.mark.parametrize("check", [check_id, check_name, check_run_id])
def test_no_id_and_no_name_holds_it(check: Any):
    with pytest.raises(InvalidInputError):
        check(NAME, "id")


def test_the_reason_of_a_cancellation_does_not_hold_it():
    with pytest.raises(InvalidInputError, match="UTF-8"):
        brief(NAME)


def test_an_answer_to_a_webhook_does_not_hold_it():
    with pytest.raises(InvalidInputError, match="is not valid"):
        response(200, NAME, {})


def test_an_exception_has_it_with_backslashes():
    error = ValueError(NAME, {NAME: 1})
    error.about = {NAME: 1}  # type: ignore[attr-defined]
    error.add_note(NAME)
    error.__cause__ = ValueError(NAME)
    failed = StepFailed(step_id="s1", error=encode_exception(raised(error)))
    (event,) = load_events(dump_events([failed]))
    assert isinstance(event, StepFailed)
    copy = decode_exception(event.error)
    assert "caf\\udce9" in str(copy)
    assert copy.__notes__ == ["caf\\udce9"]
    assert "caf\\udce9" in str(copy.__cause__)


def test_an_attribute_of_an_exception_whose_name_holds_it_is_left_out():
    error = ValueError("no")
    setattr(error, NAME, 1)
    error.code = 5  # type: ignore[attr-defined]
    copy = decode_exception(encode_exception(error))
    assert type(copy) is ValueError
    assert vars(copy) == {"code": 5}
