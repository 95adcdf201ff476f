"""What calls take again and again, such as the messages of a conversation, is written to the history once. Steps,
children, replays, and all who read the run, get it whole.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.archiving import archive
from tests.support.systems import AWSSystem, System, finish, signal, start
from worldflow import RetryPolicy, publish, sleep, step, wait_for_signal, workflow
from worldflow.costs import bill_of, commits_of, count
from worldflow.engine.history import ChildStarted, Event, SignalReceived, StepCompleted, StepScheduled, dump_events
from worldflow.runtime import queries, starting
from worldflow.turns.turns import Turns
from worldflow.worlds import histories, reading
from worldflow.worlds.messages import FactArrived, Start, StepTask
from worldflow.worlds.payloads import Whole, fetch, has_borrowed

Messages = list[dict[str, Any]]

broken = False


class Codec:
    """Encodes each time as something else, as encryption does."""

    def __init__(self) -> None:
        self.made = 0

    def encode(self, data: bytes, context: Mapping[str, str]) -> bytes:
        self.made += 1
        return b"%d|" % self.made + data[::-1]

    def decode(self, data: bytes, context: Mapping[str, str]) -> bytes:
        return data.partition(b"|")[2][::-1]


def said(number: int) -> str:
    return f"what was said in turn {number} " * 40


@step
async def once_answer(messages: Messages, instructions: str) -> dict[str, Any]:
    assert [message["text"] for message in messages] == [said(number) for number in range(len(messages))]
    assert instructions == "be brief " * 60
    return {"kind": "response", "text": said(len(messages))}


@workflow
async def once_conversation(turns: int, pause: int | None = None) -> int:
    messages: Messages = []
    publish("turns", lambda: len(messages) // 2)
    for turn in range(turns):
        if turn == pause:
            await wait_for_signal("go")
        messages.append({"kind": "request", "text": said(len(messages))})
        messages.append(await once_answer(messages, "be brief " * 60))
    return len(messages)


@step(inline=True)
async def once_answer_inline(messages: Messages) -> dict[str, Any]:
    return {"kind": "response", "text": said(len(messages))}


@workflow
async def once_inline_conversation(turns: int) -> int:
    messages: Messages = [{"kind": "request", "text": "x" * 70_000}]
    for _ in range(turns):
        messages.append(await once_answer_inline(messages))
    return len(messages)


@pytest.fixture(params=[None, Codec], ids=["clear", "encoded"])
def coded(system: System, request: pytest.FixtureRequest) -> Iterator[System]:
    system.world.codec = request.param and request.param()
    yield system
    system.world.codec = None


def size(events: list[Event]) -> int:
    return len(dump_events(events))


def calls(events: list[Event]) -> list[int]:
    """How many messages each call of the model has got."""
    return [len(event.input["messages"]) for event in events if isinstance(event, StepScheduled)]


def borrowing(system: System, run_id: str) -> int:
    """How many calls of a run have references in place of data."""
    events = system.world.load_history(run_id)
    return sum(has_borrowed(event.input) for event in events if isinstance(event, StepScheduled))


def test_a_conversation_is_written_once(coded: System) -> None:
    start(coded, "r", once_conversation, turns=12)

    stored, whole = coded.world.load_history("r"), coded.world.read_events("r")
    assert finish(coded, "r").result == 24
    assert calls(whole) == list(range(1, 24, 2))
    text = sum(len(said(number)) for number in range(24))
    # With a codec, it is base64.
    assert size(stored) < (2.1 if coded.world.codec else 1.45) * text
    assert size(whole) > 6 * text


def test_a_twice_as_long_one_takes_twice_as_much(system: System) -> None:
    start(system, "short", once_conversation, turns=10)
    start(system, "long", once_conversation, turns=20)

    short, long = (size(system.world.load_history(run_id)) for run_id in ("short", "long"))
    assert long < 2.02 * short


def test_processes_that_die_between_turns(coded: System) -> None:
    world = coded.world
    starting.start(world, "r", once_conversation, {"turns": 6})
    for _ in range(100):
        coded.restart()
        for queue in ("runs", "steps"):
            received = coded.receive(queue)  # type: ignore[arg-type]
            coded.reject(received)
        coded.settle()
        if world.read_run("r").ended:
            break

    assert finish(coded, "r").result == 12
    assert calls(world.read_events("r")) == [1, 3, 5, 7, 9, 11]


def test_a_run_that_is_read_by_another_process_goes_on_with_references(coded: System) -> None:
    start(coded, "r", once_conversation, turns=8, pause=4)
    coded.restart()
    signal(coded, "r", "go")

    assert finish(coded, "r").result == 16
    later = [event for event in coded.world.load_history("r") if isinstance(event, StepScheduled)][1:]
    assert all(has_borrowed(event.input) for event in later)


def test_a_run_is_queried(coded: System) -> None:
    start(coded, "r", once_conversation, turns=8, pause=4)

    assert queries.query(coded.world, "r", "turns") == 4


def test_a_part_of_a_history_is_read(coded: System) -> None:
    start(coded, "r", once_conversation, turns=5)
    world = coded.world
    whole = world.read_events("r")

    for after in range(len(whole)):
        assert world.read_events("r", after) == whole[after:]


def test_a_history_is_not_read_twice_for_a_part_that_is_whole(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    start(system, "r", once_conversation, turns=2)
    asked: list[int] = []
    load = system.world.load_history
    monkeypatch.setattr(
        system.world,
        "load_history",
        lambda run_id, after=0, commits=None: asked.append(after) or load(run_id, after, commits),
    )

    last = len(load("r")) - 1
    system.world.read_events("r", last)
    assert asked == [last]


def test_a_step_that_is_asked_for_again_is_the_same_call(coded: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its outcome is in the ledger under what the history has, whatever the message says."""
    world, tasks = coded.world, list[StepTask]()
    monkeypatch.setattr(world, "send", lambda sent: tasks.extend(each for each in sent if isinstance(each, StepTask)))
    starting.start(world, "r", once_conversation, {"turns": 3})
    first = Turns(world)
    first.take("r", [Start(run_id="r")])
    answer = StepCompleted(step_id="s1", result={"kind": "response", "text": said(1)})
    first.take("r", [FactArrived(run_id="r", fact=answer)])
    first.close()
    second = Turns(world)
    second.take("r", [Start(run_id="r")], redo=True)
    second.close()

    assert [task.step_id for task in tasks] == ["s1", "s2", "s2"]
    assert tasks[1].call == tasks[2].call != tasks[0].call
    assert [len(fetch(world, task.input)["messages"]) for task in tasks] == [1, 3, 3]


@step(retry=RetryPolicy(max_attempts=3, initial_interval="1s"))
async def once_answer_later(messages: Messages) -> str:
    if len(messages) == 3 and fails.pop("now", False):
        raise ConnectionError("later")
    return said(len(messages))


fails: dict[str, bool] = {}


@workflow
async def once_conversation_with_a_failure() -> int:
    messages: Messages = []
    for _ in range(3):
        messages.append({"text": said(len(messages))})
        messages.append({"text": await once_answer_later(messages)})
    return len(messages)


def test_an_attempt_after_another_process_took_over(coded: System) -> None:
    fails["now"] = True
    start(coded, "r", once_conversation_with_a_failure)
    coded.restart()

    assert finish(coded, "r").result == 6


@step(retry=RetryPolicy(max_attempts=2, initial_interval="1m"))
async def once_break(messages: Messages) -> Messages:
    if broken:
        raise ConnectionError("broken")
    return messages


@workflow
async def once_fails_late(turns: int) -> int:
    """One step fails twice, once before the conversation and once after it."""
    messages: Messages = []
    beside = asyncio.ensure_future(once_break([]))
    await sleep("10ms")
    for _ in range(turns):
        messages.append({"text": said(len(messages))})
        messages.append(await once_answer(messages, "be brief " * 60))
    await beside
    messages.append({"text": said(len(messages))})
    messages.append(await once_answer(messages, "be brief " * 60))
    return len(messages)


def test_a_retry(coded: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.world.test_a_history_holds_a_value_once.broken", True)
    start(coded, "r", once_fails_late, turns=4)
    assert finish(coded, "r").status == "failed"
    monkeypatch.setattr("tests.world.test_a_history_holds_a_value_once.broken", False)

    starting.retry(coded.world, "r")

    assert finish(coded, "r~2").result == 10
    seqs = [
        [event.seq for event in coded.world.load_history(run_id) if isinstance(event, StepScheduled)][1:5]
        for run_id in ("r", "r~2")
    ]
    assert seqs[0] != seqs[1], "the failed attempts before it are gone"
    assert calls(coded.world.read_events("r~2")) == [0, 1, 3, 5, 7, 9]
    assert borrowing(coded, "r~2") == 4


def test_a_fork_in_the_middle(coded: System) -> None:
    start(coded, "r", once_conversation, turns=6)
    fourth = [event.seq for event in coded.world.load_history("r") if isinstance(event, StepScheduled)][3]

    starting.fork(coded.world, "r", "other", after=fourth)

    assert finish(coded, "other").result == 12
    assert calls(coded.world.read_events("other")) == [1, 3, 5, 7, 9, 11]
    assert f'"$payload":"{"r/"}' not in dump_events(coded.world.load_history("other"))
    assert borrowing(coded, "other") == 5


@workflow
async def once_beside(first: str) -> list[Any]:
    """Two calls at once with the same messages, of which one waits."""
    messages: Messages = [{"text": said(0)}, {"text": await once_echo(first)}]
    slow = asyncio.ensure_future(once_break(messages))
    await sleep("10ms")
    quick = await once_echo({"messages": messages})
    return [quick, await slow, await once_echo({"messages": messages, "more": True})]


def test_a_fork_with_other_data(coded: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows has borrowed from what is edited, or from arguments that are others because of it."""
    monkeypatch.setattr("tests.world.test_a_history_holds_a_value_once.broken", True)
    start(coded, "r", once_beside, first="one " * 100)
    events = coded.world.load_history("r")
    edited = next(event.seq for event in events if isinstance(event, StepCompleted))
    last = max(event.seq for event in events if isinstance(event, StepCompleted))
    assert finish(coded, "r").status == "failed"
    monkeypatch.setattr("tests.world.test_a_history_holds_a_value_once.broken", False)

    starting.fork(coded.world, "r", "other", after=last, edit={edited: "two " * 100})

    one, two = ([{"text": said(0)}, {"text": text * 100}] for text in ("one ", "two "))
    assert finish(coded, "other").result == [{"messages": one}, two, {"messages": two, "more": True}]
    inputs = [event.input for event in coded.world.read_events("other") if isinstance(event, StepScheduled)]
    assert inputs[1:] == [
        {"messages": two},  # it is open, and is called anew
        {"value": {"messages": one}},
        {"value": {"messages": two, "more": True}},
    ]


def test_a_fork_of_a_run_in_the_archive(coded: System) -> None:
    start(coded, "r", once_conversation, turns=5)
    before = coded.world.read_events("r")
    assert archive(coded).archived == 1

    assert coded.world.read_events("r") == before
    starting.fork(coded.world, "r", "other", after=before[-2].seq - 1)
    assert finish(coded, "other").result == 10


@step
async def once_summary(messages: Messages) -> str:
    return f"{len(messages)} messages"


@workflow
async def once_child(messages: Messages) -> str:
    return await once_summary(messages)


@workflow
async def once_delegates(turns: int) -> list[str]:
    messages: Messages = [{"text": said(number)} for number in range(turns)]
    first = await once_child(messages)
    return [first, *await asyncio.gather(once_child([*messages, {"text": "more"}]), once_child(messages[2:]))]


def test_children_get_their_input_whole(coded: System) -> None:
    start(coded, "r", once_delegates, turns=5)

    assert finish(coded, "r").result == ["5 messages", "6 messages", "3 messages"]
    children = [event for event in coded.world.load_history("r") if isinstance(event, ChildStarted)]
    assert [has_borrowed(child.input) for child in children] == [False, True, True]
    assert [len(coded.world.read_run(child.child_run_id).input["messages"]) for child in children] == [5, 6, 3]


@workflow
async def once_hears() -> list[int]:
    found = []
    for name in ("one", "two"):
        found.append(len(await wait_for_signal(name, Messages)))
    return found


def test_what_others_send(coded: System) -> None:
    messages = [{"text": said(number)} for number in range(4)]
    start(coded, "r", once_hears)
    signal(coded, "r", "one", messages)
    signal(coded, "r", "two", [*messages, {"text": "more"}])

    assert finish(coded, "r").result == [4, 5]
    received = [event for event in coded.world.load_history("r") if isinstance(event, SignalReceived)]
    assert [has_borrowed(event.value) for event in received] == [False, True]


@step
async def once_adds(messages: Messages) -> Messages:
    return [*messages, {"text": said(len(messages))}]


@workflow
async def once_state() -> int:
    messages: Messages = [{"text": "x" * 70_000}]
    for _ in range(4):
        messages = await once_adds(messages)
    return len(messages)


def test_a_large_state_that_each_step_returns(coded: System) -> None:
    """It is in the payload store once, where the history needs it, and not in each event."""
    start(coded, "r", once_state)

    assert finish(coded, "r").result == 5
    events = coded.world.load_history("r")
    results = [event.result for event in events if isinstance(event, StepCompleted)]
    assert all(map(has_borrowed, results))
    assert dump_events(events).count("$payload") == 1
    assert [len(event.result) for event in coded.world.read_events("r") if isinstance(event, StepCompleted)] == [
        2,
        3,
        4,
        5,
    ]


def test_inline_steps_put_nothing_into_the_payload_store(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    put: list[str] = []
    store = system.world.put_payload
    monkeypatch.setattr(system.world, "put_payload", lambda key, data: put.append(key) or store(key, data))
    start(system, "r", once_inline_conversation, turns=5)

    assert finish(system, "r").result == 6
    assert len(put) == 1, "the first call, which holds what is large"


@workflow
async def once_looks_alike(value: Any) -> list[Any]:
    first = await once_echo({"value": value})
    return [first, await once_echo({"value": value, "more": "m" * 300})]


@step
async def once_echo(value: Any) -> Any:
    return value


@pytest.mark.parametrize(
    "value",
    [
        {"$encoded": 0, "$same": [[[[], [1]]], None], "bytes": 400},
        {"$same": ["x" * 300], "$payload": "r/1"},
        [{"$encoded": 0, "$same": "y" * 300}],
    ],
    ids=["borrowed", "payload", "inside"],
)
def test_a_value_that_looks_like_a_reference_is_the_users_own(coded: System, value: Any) -> None:
    start(coded, "r", once_looks_alike, value=value)

    assert finish(coded, "r").result == [{"value": value}, {"value": value, "more": "m" * 300}]


def test_the_api_shows_events_whole(api: Api, aws: AWSSystem) -> None:
    start(aws, "r", once_conversation, turns=4)
    whole = aws.world.read_events("r")

    found: list[Any] = []
    after: int | None = 0
    while after is not None:
        page = api.get("/runs/r/events", ("after", str(after)), ("limit", "2")).body
        found += page["events"]
        after = page["after"]
    assert [event["payload"] for event in found] == [json.loads(json.dumps(event.payload)) for event in whole]


def test_what_a_run_costs_is_told_by_its_history(aws: AWSSystem) -> None:
    start(aws, "r", once_conversation, turns=40)

    commits, _ = commits_of(aws.world, "r")
    asked = count("r", commits)
    # Tasks carry all that was said: that of the last call is in the payload store.
    assert asked.requests["s3.PutObject"] > 0
    assert bill_of(asked, 1).dollars > 0


def test_code_that_knows_no_references_cannot_take_one_for_data(system: System) -> None:
    """To it, this is encoded data that cannot be read: the run is blocked."""
    start(system, "r", once_conversation, turns=2)
    stored = [event.input for event in system.world.load_history("r") if isinstance(event, StepScheduled)][-1]

    assert stored["$encoded"] == 0
    assert "$payload" not in stored


def test_what_is_kept_whole_is_not_written(system: System) -> None:
    start(system, "r", once_conversation, turns=2)

    whole = histories.with_whole(system.world.load_history("r"), system.world)
    kept = [event for event in whole if isinstance(event, StepScheduled) and isinstance(event.input, Whole)]
    assert kept
    assert list(map(histories.as_stored, whole)) == reading.stored_events(system.world, "r")
