"""What an event has of data that earlier events hold."""

from __future__ import annotations

from typing import Any

from pydantic_core import to_json

from worldflow.engine.values.repeats import SMALLEST, Repeats, Shared, restore

ONE, TWO, THREE = ({"role": "user", "text": letter * 300} for letter in "abc")
SMALL = [{"role": "user", "text": f"number {number}, which is short"} for number in range(9)]


def shared(*values: Any) -> Shared | None:
    """What the last of events has of its data."""
    repeats = Repeats()
    for seq, value in enumerate(values[:-1], 1):
        repeats.share(seq, value)
    return repeats.share(len(values), values[-1])


def test_a_list_that_grows() -> None:
    assert shared({"messages": [ONE, TWO]}, {"messages": [ONE, TWO, THREE]}) == Shared(
        [[["messages", 0], [1, "messages"], 0, 2]], {"messages": [THREE]}
    )


def test_a_list_that_loses_its_beginning() -> None:
    assert shared([ONE, TWO, THREE], [TWO, THREE]) == Shared([[[0], [1], 1, 3]], [])


def test_a_list_with_another_beginning() -> None:
    other = {"role": "system", "text": "other"}

    assert shared([ONE, TWO, THREE], [other, TWO, THREE]) == Shared([[[1], [1], 1, 3]], [other])


def test_a_list_of_small_items() -> None:
    assert shared(SMALL[:8], SMALL) == Shared([[[0], [1], 0, 8]], [SMALL[8]])


def test_small_items_beside_a_large_one() -> None:
    assert shared(["a", "b", ONE, "c"], ["a", "b", ONE, "c", "d"]) == Shared([[[0], [1], 0, 4]], ["d"])


def test_a_result_that_becomes_an_item() -> None:
    assert shared([ONE], TWO, [ONE, TWO]) == Shared([[[0], [1], 0, 1], [[1], [2]]], [None])


def test_a_part_of_an_item() -> None:
    text = "t" * 300

    assert shared(text, [{"kind": "tool-return", "content": text}]) == Shared(
        [[[0, "content"], [1]]], [{"kind": "tool-return", "content": None}]
    )


def test_a_value_of_its_own_kind() -> None:
    """JSON knows what Python takes for equal."""
    numbers = {"a": 1, "text": "t" * 180}

    assert shared(numbers, {"a": 1.0, "text": "t" * 180}) is None
    assert shared(numbers, {"a": True, "text": "t" * 180}) is None
    assert shared(numbers, {"text": "t" * 180, "a": 1}) is None


def test_a_value_that_is_small() -> None:
    assert shared("a" * (SMALLEST - 3), "a" * (SMALLEST - 3)) is None
    assert shared("a" * (SMALLEST - 2), "a" * (SMALLEST - 2)) is not None


def test_a_value_that_repeats_itself() -> None:
    """A reference points to an earlier event."""
    assert shared([ONE, ONE]) is None


def test_the_newest_list_is_borrowed_from() -> None:
    """So that each is one reference, however long."""
    messages = [{"role": "user", "text": str(number) * 300} for number in range(9)]
    repeats = Repeats()
    for number in range(1, 9):
        repeats.share(number, messages[:number])

    assert repeats.share(9, messages) == Shared([[[0], [8], 0, 8]], messages[8:])


def test_a_process_that_reads_the_history_goes_on_as_the_first() -> None:
    messages = [{"role": "user", "text": str(number) * 300} for number in range(9)]
    repeats, history = Repeats(), []
    for number in range(1, 9):
        found = repeats.share(number, messages[:number])
        history.append((number, messages[:number], found.borrowed if found else []))

    assert Repeats(history).share(9, messages) == repeats.share(9, messages)


def test_what_is_put_together_is_the_same_object() -> None:
    """So that a replay knows what it has looked at."""
    whole = restore(Shared([[[0], [1], 0, 2]], [THREE]), {1: [ONE, TWO]}.__getitem__)

    assert [id(item) for item in whole] == [id(ONE), id(TWO), id(THREE)]


def test_what_an_event_has_is_not_changed_by_reading_it() -> None:
    stored = Shared([[["messages", 0], [1], 0, 1]], {"messages": [TWO]})

    assert restore(stored, {1: [ONE]}.__getitem__) == {"messages": [ONE, TWO]}
    assert restore(stored, {1: [ONE]}.__getitem__) == {"messages": [ONE, TWO]}


def test_a_conversation_is_linear_in_its_text() -> None:
    def size(count: int) -> float:
        repeats, messages, written = Repeats(), list[Any](), 0
        for number in range(count):
            messages = [*messages, {"kind": "request", "text": f"{number} " * 300}]
            found = repeats.share(2 * number + 1, {"messages": messages})
            written += len(to_json([found.borrowed, found.rest] if found else messages))
            answer = {"kind": "response", "text": f"{number}!" * 300}
            repeats.share(2 * number + 2, answer)
            messages.append(answer)
            written += len(to_json(answer))
        return written / len(to_json(messages))

    assert size(40) < 1.15
    assert size(80) < 1.15
