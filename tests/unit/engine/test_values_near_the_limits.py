import pytest
from pydantic import BaseModel, field_validator

from worldflow import SerializationError
from worldflow.engine.history import RunStarted, SignalReceived, dump_events, load_events
from worldflow.engine.history.failures import encode_exception
from worldflow.engine.values.serialization import Codec
from worldflow.worlds.messages import FactArrived, load_message


def deep(levels: int) -> list[object]:
    value: list[object] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def test_what_is_accepted_can_be_read_from_where_it_stands():
    accepted = 0
    for levels in range(100, 220):
        try:
            value = Codec(list, "value").encode(deep(levels))
        except SerializationError:
            continue
        accepted += 1
        history = [RunStarted(input={"value": value}), SignalReceived(signal_id="1", value=value)]
        assert load_events(dump_events(history)) == history
        message = FactArrived(run_id="r", fact=history[1])
        assert load_message(message.dump()) == message
    assert accepted


def test_what_is_too_deep_is_refused_and_no_crash():
    for levels in (200, 5_000):
        with pytest.raises(SerializationError):
            Codec(list, "value").encode(deep(levels))


def test_the_two_characters_that_no_queue_takes_are_escaped():
    message = FactArrived(run_id="r", fact=SignalReceived(signal_id="1", value="\ufffe and \uffff"))
    assert not {"\ufffe", "\uffff"} & set(message.dump())
    assert load_message(message.dump()) == message


def test_a_validator_that_raises_what_it_likes_is_a_misfit():
    class Odd(BaseModel):
        name: str

        @field_validator("name")
        @classmethod
        def look_up(cls, name: str) -> str:
            return {"known": name}[name]

    with pytest.raises(SerializationError, match="'unknown'"):
        Codec(Odd, "value").decode({"name": "unknown"})


def test_the_size_of_a_failure_is_counted_in_bytes():
    failure = encode_exception(ValueError("😀" * 74_000))
    assert len(failure.model_dump_json().encode()) < 110_000
    assert failure.type == "builtins:ValueError"


def test_an_attribute_that_cannot_be_compared_harms_nothing():
    class Array:
        def __eq__(self, other: object) -> bool:
            raise ValueError("the truth value of an array is ambiguous")

    error = ValueError("no")
    error.data = Array()  # type: ignore[attr-defined]
    failure = encode_exception(error)
    assert (failure.type, failure.message) == ("builtins:ValueError", "no")
