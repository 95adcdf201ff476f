"""A fork whose history has other data in places: results, messages, the input, and the arguments of what is open."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from worldflow import (
    InvalidInputError,
    RetryPolicy,
    RunExistsError,
    create_hook,
    on_update,
    step,
    step_info,
    uuid4,
    wait_for_signal,
    workflow,
)
from worldflow.engine.history import Event
from worldflow.runtime import edits, starting
from worldflow.testing import TestRun, WorkflowEnvironment

asked: list[Any] = []
"""What steps were called with, in order."""


@pytest.fixture(autouse=True)
def _fresh(caplog: pytest.LogCaptureFixture) -> None:
    asked.clear()
    caplog.set_level("CRITICAL", "worldflow")


@step
async def edit_model(prompt: str, temperature: float = 0.5) -> str:
    asked.append((prompt, temperature))
    return f"tool {prompt}" if len(prompt) < 20 else f"answer {prompt}"


@step
async def edit_tool(city: str) -> str:
    asked.append(city)
    return f"weather of {city}"


@workflow
async def edited_agent(prompt: str) -> str:
    """A loop whose way depends on what the model says."""
    answer = await edit_model(prompt)
    while answer.startswith("tool "):
        told = await edit_tool(answer.removeprefix("tool "))
        answer = await edit_model(f"{prompt}, {told}")
    return answer


def seq_of(events: list[Event], kind: str, nth: int = 0) -> int:
    return [event.seq for event in events if event.event_type == kind][nth]


async def finished(env: WorkflowEnvironment, prompt: str = "Oslo") -> tuple[TestRun[Any], list[Event]]:
    run = await env.start(edited_agent, prompt)
    assert await run.result() == "answer Oslo, weather of Oslo"
    asked.clear()
    return run, await run.events()


async def test_a_result_that_is_edited_is_what_the_workflow_gets() -> None:
    async with WorkflowEnvironment() as env:
        run, events = await finished(env)
        fork = await run.fork("copy", edit={seq_of(events, "StepCompleted", 1): "sunshine in Oslo"})
        assert await fork.result() == "answer Oslo, sunshine in Oslo"
    # The arguments of what follows are those of the edit, and what was before is not run again.
    assert asked == [("Oslo, sunshine in Oslo", 0.5)]


async def test_the_workflow_may_take_another_way() -> None:
    async with WorkflowEnvironment() as env:
        run, events = await finished(env)
        first = seq_of(events, "StepCompleted")
        fork = await run.fork("copy", edit={first: "I know that already"})
        assert await fork.result() == "I know that already"
        fork = await run.fork("other", edit={first: "tool Rome"})
        assert await fork.result() == "answer Oslo, weather of Rome"
    assert asked == ["Rome", ("Oslo, weather of Rome", 0.5)]


async def test_the_last_result_of_a_run_that_has_ended_may_be_edited() -> None:
    async with WorkflowEnvironment() as env:
        run, events = await finished(env)
        fork = await run.fork("copy", edit={seq_of(events, "StepCompleted", 2): "tool Rome"})
        assert await fork.result() == "answer Oslo, weather of Rome"
        assert await run.result() == "answer Oslo, weather of Oslo"


async def test_a_request_may_have_another_prompt() -> None:
    async with WorkflowEnvironment() as env:
        run, events = await finished(env)
        asked_second = seq_of(events, "StepScheduled", 2)
        fork = await run.fork("copy", edit={asked_second: {"prompt": "What is the weather in Oslo?"}})
        assert await fork.result() == "answer What is the weather in Oslo?"
        # The arguments that are not edited stay, and those that are have their types.
        fork = await run.fork("warm", edit={asked_second: {"temperature": 1}})
        await fork.result()
    assert asked == [("What is the weather in Oslo?", 0.5), ("Oslo, weather of Oslo", 1.0)]


async def test_the_input_of_the_run_starts_it_from_its_beginning() -> None:
    async with WorkflowEnvironment() as env:
        run, _ = await finished(env)
        fork = await run.fork("copy", edit={"input": {"prompt": "Rome"}})
        assert await fork.result() == "answer Rome, weather of Rome"
        assert (await fork.record()).input == {"prompt": "Rome"}
        assert (await (await run.fork("again", edit={1: {"prompt": "Bonn"}})).record()).input == {"prompt": "Bonn"}
    assert asked[:2] == [("Rome", 0.5), "Rome"]


async def test_an_earlier_result_leaves_what_came_after_it() -> None:
    async with WorkflowEnvironment() as env:
        run, events = await finished(env)
        second = seq_of(events, "StepCompleted", 1)
        asks = seq_of(events, "StepScheduled", 2)
        # Another tool's result, and the request after it, which is open, with the arguments that the code has now.
        fork = await run.fork("copy", after=asks, edit={seq_of(events, "StepCompleted"): "tool Rome"})
        assert await fork.result() == "answer Oslo, weather of Oslo"
        history = await fork.events()
        assert history[second - 1].event_type == "StepCompleted"
    assert asked == [("Oslo, weather of Oslo", 0.5)]


@step(retry=RetryPolicy(max_attempts=5, initial_interval="1h", jitter=0))
async def edit_patient(text: str) -> str:
    asked.append(text)
    if text == "a":
        raise RuntimeError("not yet")
    return text


@workflow
async def edit_patient_kid(text: str) -> str:
    return text + await wait_for_signal("kid", str)


@workflow
async def edited_side_by_side() -> list[str]:
    async def chain() -> str:
        text = await wait_for_signal("a", str)
        return "".join(await asyncio.gather(edit_patient(text), edit_patient_kid(text)))

    return await asyncio.gather(chain(), wait_for_signal("b", str))


@pytest.mark.parametrize("by_hand", [False, True])
async def test_what_is_open_gets_the_arguments_that_follow_from_an_earlier_edit(by_hand: bool) -> None:
    async with WorkflowEnvironment() as env:
        run = await env.start(edited_side_by_side)
        await run.signal("a", "a")
        await run.signal("b", "b")
        events = await run.events()
        assert asked == ["a"]
        edit: dict[int, Any] = {seq_of(events, "SignalReceived"): "A"}
        if by_hand:
            edit[seq_of(events, "StepScheduled")] = {"text": "by hand"}
        fork = await run.fork("copy", after=len(events), edit=edit)
        await env.run("copy~c1").signal("kid", "!")
        assert await fork.result() == ["by handA!" if by_hand else "AA!", "b"]
    assert asked[1] == ("by hand" if by_hand else "A")


@workflow
async def edited_kid(name: str) -> str:
    return f"kid {await edit_tool(name)}"


@step(retry=RetryPolicy(max_attempts=2, initial_interval=1))
async def edit_fails(name: str) -> str:
    raise LookupError(name)


@workflow
async def edited_everything() -> list[Any]:
    got: list[Any] = [str(uuid4())]

    @on_update("add")
    def add(first: str, second: int) -> int:
        got.append([first, second])
        return second

    got.append(await wait_for_signal("s"))
    with create_hook(Decimal, token=f"hook-{uuid4()}") as hook:
        got.append(str(await hook))
    got.append(await edited_kid("Ann"))
    try:
        got.append(await edit_fails("Bob"))
    except LookupError:
        got.append("not found")
    return got


async def everything(env: WorkflowEnvironment) -> tuple[TestRun[Any], list[Event]]:
    run = await env.start(edited_everything)
    await run.update("add", "one", 1)
    await run.signal("s", "said")
    (hook,) = await run.hooks()
    await env.resume_hook(hook.token, "1.5")
    assert (await run.result())[1:] == [["one", 1], "said", "1.5", "kid weather of Ann", "not found"]
    return run, await run.events()


@pytest.mark.parametrize(
    ("kind", "nth", "data", "place", "expected"),
    [
        ("UpdateReceived", 0, ["two", 2], 1, ["two", 2]),
        ("SignalReceived", 0, "SAID", 2, "SAID"),
        ("HookResumed", 0, "2.5", 3, "2.5"),
        ("HookResumed", 0, Decimal("2.5"), 3, "2.5"),
        ("ChildCompleted", 0, "kid of nobody", 4, "kid of nobody"),
        ("ChildStarted", 0, {"name": "Cleo"}, 4, "kid weather of Cleo"),
        ("StepFailed", 1, "found", 5, "found"),
    ],
)
async def test_each_kind_of_data(kind: str, nth: int, data: Any, place: int, expected: Any) -> None:
    async with WorkflowEnvironment() as env:
        run, events = await everything(env)
        fork = await run.fork("copy", edit={seq_of(events, kind, nth): data})
        while (await fork.record()).status != "completed":
            if place < 2:
                await fork.signal("s", "said")
            if place < 3:
                (hook,) = await fork.hooks()
                await env.resume_hook(hook.token, "1.5")
            await fork.result()
        result = await fork.result()
        original = ["", ["one", 1], "said", "1.5", "kid weather of Ann", "not found"]
        assert result[1:] == [*original[1:place], expected, *original[place + 1 :]]


async def test_a_failed_attempt_that_is_to_be_tried_again_succeeds_instead() -> None:
    async with WorkflowEnvironment() as env:
        run, events = await everything(env)
        fork = await run.fork("copy", edit={seq_of(events, "StepFailed", 0): "found"})
        assert (await fork.result())[5] == "found"


async def test_what_follows_from_chance_is_its_own_where_nothing_is_kept() -> None:
    async with WorkflowEnvironment() as env:
        run, _ = await everything(env)
        fork = await run.fork("copy", edit={"input": {}})
        await fork.signal("s", "said")
        (hook,) = await fork.hooks()
        await env.resume_hook(hook.token, "1.5")
        assert (await fork.result())[0] != (await run.result())[0]


async def test_a_fork_says_what_is_edited_and_can_be_forked_again() -> None:
    async with WorkflowEnvironment() as env:
        run, events = await finished(env)
        second = seq_of(events, "StepCompleted", 1)
        fork = await run.fork("copy", edit={second: "sunshine in Oslo"})
        await fork.result()
        (forked,) = [event for event in await fork.events() if event.event_type == "RunForked"]
        assert (forked.run_id, forked.after, forked.edit) == (run.id, second, {str(second): "sunshine in Oslo"})  # type: ignore[union-attr]
        record = await fork.record()
        assert record.describe()["fork_of"] == {"run_id": run.id, "after": second}
        again = await fork.fork("third", edit={second: "heavy rain in Oslo"})
        assert await again.result() == "answer Oslo, heavy rain in Oslo"
        assert await fork.result() == "answer Oslo, sunshine in Oslo"


async def test_the_same_request_twice_is_one_run() -> None:
    async with WorkflowEnvironment() as env:
        run, events = await finished(env)
        second = seq_of(events, "StepCompleted", 1)
        for _ in range(2):
            fork = await run.fork("copy", edit={second: "sunshine in Oslo"})
        assert await fork.result() == "answer Oslo, sunshine in Oslo"
        for other in ({second: "rain"}, None):
            with pytest.raises(RunExistsError):
                await run.fork("copy", after=second, edit=other)


# --- what cannot be ---


@pytest.mark.parametrize(
    ("after", "edit", "field", "problem"),
    [
        (None, {2: {"prompt": "x"}, 3: "tool Rome"}, "edit", r"event 4 cannot be|event 2 cannot be edited"),
        (None, None, "after", "name the event after which the fork continues, or one to edit"),
        (3, {5: "rain"}, "edit", r"event 5 cannot be edited; what can: 1 \(the input of the run\), 3 \(the result of"),
        (3, {"one": "rain"}, "edit", "'one' is neither the number of an event nor 'input'"),
        (3, {-1: "rain"}, "edit", "'-1' is neither|-1 is neither"),
        (None, {99: "rain"}, "after", "must be an event before the end of the run: 1 to 6"),
        (None, {3: 5}, "edit.3.result", "Input should be a valid string"),
        (None, {4: {"town": "Rome"}}, "edit.4.town", "no such parameter"),
        (None, {4: ["Rome"]}, "edit.4.input", "must be an object of the arguments"),
        (None, {"input": {"prompt": 1}}, "edit.1.prompt", "Input should be a valid string"),
        (
            5,
            {3: "I know that already"},
            "edit",
            "event 4: the history has StepScheduled s2.*Fork after an earlier event",
        ),
        (4, {3: "tool Rome", 4: {"city": "Bonn"}}, "edit", "event 4 is decided again, since the event that led to it"),
    ],
)
async def test_what_cannot_be_edited_is_refused(after: int | None, edit: Any, field: str, problem: str) -> None:
    async with WorkflowEnvironment() as env:
        run, _ = await finished(env)
        with pytest.raises(InvalidInputError, match=problem) as refused:
            await run.fork("copy", after=after, edit=edit)
        assert [wrong.field for wrong in refused.value.fields] == [field]
        assert env.world.get_run("copy") is None


async def test_a_step_that_has_its_result_has_no_arguments_to_edit() -> None:
    async with WorkflowEnvironment() as env:
        run, _ = await finished(env)
        with pytest.raises(InvalidInputError, match="event 2 cannot be edited"):
            await run.fork("copy", after=5, edit={2: {"prompt": "x"}})


async def test_an_attempt_that_was_tried_again_is_not_edited_in_between() -> None:
    async with WorkflowEnvironment() as env:
        run, events = await everything(env)
        first, second = (seq_of(events, "StepFailed", n) for n in (0, 1))
        with pytest.raises(InvalidInputError, match=f"event {first} cannot be edited"):
            await run.fork("copy", after=second, edit={first: "found"})


async def test_without_the_code_the_run_says_that_it_goes_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    async with WorkflowEnvironment() as env:
        run, _ = await finished(env)
        monkeypatch.setattr(edits, "_other_way", lambda *_: None)
        fork = await run.fork("copy", after=5, edit={3: "I know that already"})
        assert await fork.status() == "blocked"
        assert "event 4: the history has StepScheduled s2 edit_tool" in str((await fork.record()).blocked_reason)


async def test_keys_of_its_steps_are_its_own() -> None:
    keys: list[str] = []

    @step(name="edit_keyed")
    async def keyed(name: str) -> str:
        keys.append(step_info().idempotency_key)
        return name

    @workflow(name="edited_keys")
    async def flow() -> str:
        return await keyed("a")

    async with WorkflowEnvironment() as env:
        run = await env.start(flow)
        await run.result()
        fork = await run.fork("copy", edit={2: {"name": "b"}})
        assert await fork.result() == "b"
    assert keys == ["test-1/s1", "copy/s1"]


async def test_by_the_functions_that_wait() -> None:
    async with WorkflowEnvironment() as env:
        run, events = await finished(env)
        second = seq_of(events, "StepCompleted", 1)
        starting.fork(env.world, run.id, "copy", edit={second: "sunshine in Oslo"})
        assert await env.run("copy").result() == "answer Oslo, sunshine in Oslo"


@pytest.mark.parametrize("edit", [{1: {}, "input": {}}, {3: "a", "3": "b"}, {"9" * 5_000: 1}, {"³": 1}, {True: {}}])
def test_an_edit_that_names_no_event_or_one_twice_is_refused(edit: Any) -> None:
    with pytest.raises(InvalidInputError, match="edit"):
        edits.by_number(edit)
