"""What a step raises is caught in the workflow as its own type, on the first run and on every replay."""

import asyncio
import json
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from tests.support.driver import Drive, raised
from tests.support.steps import work
from worldflow import FatalError, RetryableError, StepError, workflow
from worldflow.engine.history import Failure, StepFailed, dump_events, load_events
from worldflow.engine.history.failures import decode_exception, encode_exception


class ShopError(Exception):
    """The root of the shop's errors."""


class Declined(ShopError):
    """Its `__init__` takes other arguments than the exception holds."""

    def __init__(self, card: str, *, code: int) -> None:
        super().__init__(f"card {card} was declined: {code}")
        self.card = card
        self.code = code


class OutOfStock(ShopError):
    def __init__(self, sku: str, wanted: int = 1) -> None:
        self.sku = sku
        self.wanted = wanted

    def __str__(self) -> str:
        return f"{self.wanted} of {self.sku}"


class WithDefaults(ShopError):
    detail = "none"


class Unportable(ShopError):
    def __init__(self, connection: object) -> None:
        super().__init__("lost", connection)
        self.connection = connection


class Picky(ShopError):
    def __new__(cls, *args: object, token: str = "") -> "Picky":
        if not token:
            raise TypeError("no token")
        return super().__new__(cls, *args)

    def __init__(self, message: str, *, token: str) -> None:
        super().__init__(message)


class Order(BaseModel):
    quantity: int


def invalid() -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(list[Order]).validate_python([{"quantity": 1}, {"quantity": "many"}])
    return caught.value


def bad_json() -> json.JSONDecodeError:
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads("{")
    return caught.value


def missing_file() -> OSError:
    with pytest.raises(FileNotFoundError) as caught:
        open("/no/such/file")  # noqa: SIM115
    return caught.value


def through_history(error: BaseException) -> BaseException:
    (event,) = load_events(dump_events([StepFailed(step_id="s1", error=encode_exception(raised(error)))]))
    assert isinstance(event, StepFailed)
    return decode_exception(event.error)


EXCEPTIONS = [
    ValueError("no"),
    ValueError(),
    ValueError("a", 1, None, [2.5, {"k": True}]),
    KeyError("key"),
    IndexError(3),
    ZeroDivisionError("division by zero"),
    TimeoutError(),
    NotImplementedError(),
    AssertionError("1 == 2"),
    OSError(28, "No space left on device"),
    ConnectionResetError(104, "Connection reset by peer"),
    FileExistsError(17, "File exists", "/a"),
    OSError("only text"),
    UnicodeDecodeError("utf-8", b"\xff\x00", 0, 1, "invalid start byte"),
    UnicodeEncodeError("ascii", "\u00fc", 0, 1, "ordinal not in range(128)"),
    ImportError("no module", name="module", path="/path"),
    Declined("1234", code=51),
    OutOfStock("sku-1", 5),
    WithDefaults("x"),
    FatalError("stop"),
    RetryableError("later", retry_after="30s"),
    ExceptionGroup("several", [ValueError("a"), ExceptionGroup("more", [Declined("1", code=2)])]),
]


@pytest.mark.parametrize("error", EXCEPTIONS, ids=lambda error: type(error).__name__)
def test_its_type_message_and_attributes_survive(error: Exception):
    copy = through_history(error)
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)
    if not isinstance(error, ExceptionGroup):
        assert copy.args == error.args


@pytest.mark.parametrize("make", [invalid, bad_json, missing_file], ids=lambda make: make.__name__)
def test_those_of_libraries_survive(make):
    error = make()
    copy = through_history(error)
    assert type(copy) is type(error)
    assert str(copy) == str(error)


def test_the_details_of_an_os_error():
    copy = through_history(missing_file())
    assert isinstance(copy, FileNotFoundError)
    assert (copy.errno, copy.filename) == (2, "/no/such/file")


def test_the_details_of_a_validation_error():
    copy = through_history(invalid())
    assert isinstance(copy, ValidationError)
    assert [error["loc"] for error in copy.errors()] == [(1, "quantity")]


@pytest.mark.parametrize(
    "error", [*EXCEPTIONS, invalid(), missing_file(), Unportable(object())], ids=lambda error: type(error).__name__
)
def test_it_is_caught_in_the_workflow_the_same_on_every_replay(drive: Drive, error: Exception):
    @workflow
    async def catching() -> list[str]:
        try:
            await work()
        except Exception as caught:
            return [type(caught).__name__, str(caught), await work()]
        return []

    run = drive(catching)
    run.fail("s1", error)
    run.complete("s2", "after")
    assert run.result()[2] == "after"


def test_it_fails_the_run_when_nobody_catches_it(drive: Drive):
    @workflow
    async def careless() -> None:
        await work()

    run = drive(careless)
    run.fail("s1", OutOfStock("sku", 2))
    with pytest.raises(OutOfStock, match="2 of sku") as caught:
        run.result()
    assert caught.value.wanted == 2


def test_a_chain_of_causes_without_end():
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    copy = through_history(first)
    assert str(copy) == "first"
    assert str(copy.__cause__) == "second"


def test_causes_and_notes_in_a_group():
    inner = ValueError("inner")
    inner.add_note("noted")
    inner.__cause__ = KeyError("root")
    copy = through_history(ExceptionGroup("group", [inner]))
    assert isinstance(copy, ExceptionGroup)
    (member,) = copy.exceptions
    assert member.__notes__ == ["noted"]
    assert repr(member.__cause__) == "KeyError('root')"


def test_a_type_that_is_made_in_its_own_way_is_rebuilt_without_it():
    copy = through_history(Picky("x", token="t"))
    assert (type(copy), str(copy)) == (Picky, "x")


@pytest.mark.parametrize("error", [Unportable(object())], ids=lambda error: type(error).__name__)
def test_what_cannot_be_rebuilt_is_a_step_error_that_says_what_it_was(error: Exception):
    copy = through_history(error)
    assert isinstance(copy, StepError)
    assert copy.type_name == f"{__name__}:{type(error).__name__}"
    assert type(error).__name__ in str(copy)
    assert str(error) in str(copy)
    assert "Traceback" in copy.traceback


def test_a_type_that_this_process_does_not_know():
    copy = decode_exception(Failure(type="gone.module:GoneError", message="was here", args=["was here"]))
    assert isinstance(copy, StepError)
    assert str(copy) == "gone.module:GoneError: was here"


def test_a_class_defined_in_a_function():
    class Local(Exception):
        pass

    assert isinstance(through_history(Local("x")), StepError)


def test_a_message_that_cannot_be_read():
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert "message unavailable" in str(through_history(Broken()))


@pytest.mark.parametrize(
    "error",
    [ValueError("\ud800"), ValueError(object()), ValueError("x" * 100_000)],
    ids=["surrogate", "object", "long"],
)
def test_anything_can_be_recorded(error: Exception):
    assert isinstance(through_history(error), (ValueError, StepError))


def test_an_attribute_that_is_not_json_is_not_lost_without_a_trace():
    error = RetryableError("later")
    error.retry_after = 90
    copy = through_history(error)
    assert isinstance(copy, RetryableError)
    assert copy.retry_after == 90


def test_an_exception_group_of_a_task_group_fails_the_run_with_its_members(drive: Drive):
    @workflow
    async def fan_out() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(work())

    run = drive(fan_out)
    run.fail("s1", Declined("1", code=2))
    with pytest.raises(ExceptionGroup) as caught:
        run.result()
    assert [vars(error) for error in caught.value.exceptions] == [{"card": "1", "code": 2}]


def test_stop_iteration(drive: Drive):
    """Python does not let it through an await: it is there under another name, as it would be in a coroutine."""

    @workflow
    async def catching() -> str:
        try:
            await work()
        except Exception as error:
            return type(error).__name__
        return ""

    run = drive(catching)
    run.fail("s1", StopIteration(5))
    assert run.result() in ("RuntimeError", "StepError")


def test_a_step_that_raises_cancelled_error_does_not_cancel_the_run(drive: Drive):
    @workflow
    async def catching() -> Any:
        await work()

    run = drive(catching)
    run.fail("s1", asyncio.CancelledError())
    assert run.decided == ["RunFailed"]
