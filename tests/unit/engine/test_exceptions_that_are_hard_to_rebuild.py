"""An exception is rebuilt whole, or it is a `StepError`; what stands beside it is not lost with it."""

import enum
import traceback
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from io import BytesIO
from typing import Any
from urllib.error import HTTPError

import pytest

from tests.support.driver import Drive, raised
from tests.support.steps import work
from worldflow import FatalError, StepError, workflow
from worldflow.engine.history import Failure, StepFailed, dump_events, load_events
from worldflow.engine.history.failures import decode_exception, encode_exception


class Refused(FatalError):
    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(f"status {status.value}")
        self.status = status


class Word(str):
    __slots__ = ()


class Flag(enum.Flag):
    A = 1
    B = 2


@dataclass(frozen=True)
class Frozen(Exception):
    code: int


class Shy(Exception):
    """Its text needs what JSON does not carry."""

    def __init__(self, reason: object) -> None:
        super().__init__("shy")
        self.reason = reason

    def __repr__(self) -> str:
        return f"Shy({self.reason})"


class ShopError(Exception):
    pass


def http_error(body: BytesIO | None) -> HTTPError:
    return HTTPError("https://example.com", 503, "Service Unavailable", Message(), body)


def through_history(error: BaseException) -> Any:
    (event,) = load_events(dump_events([StepFailed(step_id="s1", error=encode_exception(raised(error)))]))
    assert isinstance(event, StepFailed)
    return decode_exception(event.error)


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


def test_a_member_of_an_enumeration_comes_back_as_one():
    copy = through_history(Refused(HTTPStatus.NOT_FOUND))
    assert copy.status is HTTPStatus.NOT_FOUND
    assert through_history(ValueError(HTTPStatus.NOT_FOUND, Flag.A)).args == (HTTPStatus.NOT_FOUND, Flag.A)


@pytest.mark.parametrize(
    "value", [(1, 2), Word("a"), {1: 2}, {"a": HTTPStatus.OK}, [True, (1,)], Flag.A | Flag.B, {"$enum": ["a", "b"]}]
)
def test_an_attribute_that_would_come_back_as_another_type_is_left_out(value: Any):
    error = ValueError("no")
    error.value, error.code = value, 5  # type: ignore[attr-defined]
    assert vars(through_history(error)) == {"code": 5}


@pytest.mark.parametrize("value", [(1, 2), Word("a"), [HTTPStatus.OK]])
def test_an_argument_that_would_come_back_as_another_type_makes_it_a_step_error(value: Any):
    assert isinstance(through_history(ValueError(value)), StepError)


def test_an_enumeration_that_is_not_loaded_here():
    failure = Failure(
        type="builtins:ValueError",
        args=["no"],
        state={"status": {"$enum": ["gone:Status", "OK"]}, "module": {"$enum": ["os:environ", "HOME"]}, "code": 5},
    )
    copy = decode_exception(failure)
    assert vars(copy) == {"code": 5}
    failure = Failure(type="builtins:ValueError", args=[{"$enum": ["gone:Status", "OK"]}])
    assert isinstance(decode_exception(failure), StepError)


def test_an_exception_that_takes_no_attributes_has_its_cause_and_notes():
    error = Frozen(5)
    BaseException.add_note(error, "noted") if hasattr(error, "__notes__") else error.__dict__.update(
        __notes__=["noted"]
    )
    BaseException.__cause__.__set__(error, KeyError("root"))  # type: ignore[attr-defined]
    copy = through_history(error)
    assert (type(copy), copy.code, copy.__notes__, repr(copy.__cause__)) == (Frozen, 5, ["noted"], "KeyError('root')")


@pytest.mark.parametrize("body", [None, BytesIO(b"busy")], ids=["without a body", "with a body"])
def test_an_http_error_of_the_standard_library_is_a_step_error(body: BytesIO | None):
    copy = through_history(http_error(body))
    assert isinstance(copy, StepError)
    assert "503" in str(copy)
    assert "HTTPError" in "".join(traceback.format_exception(copy))


@pytest.mark.parametrize("body", [None, BytesIO(b"busy")], ids=["without a body", "with a body"])
def test_an_error_that_it_is_the_cause_of_keeps_its_type(body: BytesIO | None):
    copy = through_history(caused(ShopError("no"), http_error(body)))
    assert (type(copy), str(copy)) == (ShopError, "no")
    assert isinstance(copy.__cause__, StepError)
    group = through_history(ExceptionGroup("several", [ShopError("no"), http_error(body)]))
    assert [type(error) for error in group.exceptions] == [ShopError, StepError]


def test_what_can_be_read_and_not_shown_is_a_step_error():
    assert isinstance(through_history(Shy(object())), StepError)
    assert type(through_history(Shy("reason"))) is Shy


def test_the_workflows_own_error_keeps_its_type_and_cause(drive: Drive):
    @workflow
    async def asking() -> None:
        try:
            await work()
        except Exception as error:
            raise ShopError("no answer") from error

    run = drive(asking)
    run.fail("s1", http_error(None))
    with pytest.raises(ShopError, match="no answer") as caught:
        run.result()
    assert isinstance(caught.value.__cause__, StepError)
    assert "503" in str(caught.value.__cause__)
