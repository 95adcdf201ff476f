"""Representative runs on AWS, small ones, which together ask for all that `AWSWorld` can ask of AWS.

Each is told once as it is without faults, and then with one: all that clients do, they do again when they get an error.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from botocore.exceptions import ClientError, HTTPClientError

from tests.support.systems import TURNS_LIMIT, skip
from tests.support.wire import Crash, WiredSystem
from worldflow import (
    RetryPolicy,
    ScheduleNotFoundError,
    StepInterruptedError,
    create_hook,
    create_webhook,
    on_update,
    set_attributes,
    sleep,
    step,
    step_info,
    wait_for_signal,
    workflow,
)
from worldflow.engine.workflow.definitions import Workflow
from worldflow.runtime import schedules, sending, starting, updates, webhooks

T = TypeVar("T")

RUN = "r"
LARGE = 70_000
"""Bytes of a value that goes to S3."""

AGAIN = RetryPolicy(max_attempts=3, initial_interval="1s", jitter=0)

ran: Counter[str] = Counter()
"""How often each attempt of each step ran."""


@dataclass
class Tour:
    """A system on which a story is told, and clients that ask again when they were not answered."""

    system: WiredSystem
    told: list[Any] = field(default_factory=list)
    """What clients were told."""

    def ask(self, request: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        for _ in range(2):
            try:
                return request(self.system.world, *args, **kwargs)
            except (Crash, ClientError, HTTPClientError):
                self.system.wire.dead = False
        raise AssertionError(f"{request.__name__} never succeeds")

    def start(self, function: Workflow[..., Any], run_id: str = RUN, **arguments: Any) -> None:
        self.ask(starting.start, run_id, function, arguments)
        self.system.settle()

    def signal(self, name: str, value: Any = None) -> None:
        self.ask(sending.signal, RUN, name, value, signal_id=f"{name}-1")
        self.system.settle()

    def tell(self, request: Callable[..., T], *args: Any, **kwargs: Any) -> None:
        self.told.append(self.ask(request, *args, **kwargs))

    def kinds(self) -> list[str]:
        return [event.event_type for event in self.system.reader.load_history(RUN)]

    def remove_schedule(self) -> None:
        with suppress(ScheduleNotFoundError):  # deleted by a request that was not answered
            self.ask(schedules.delete, "nightly")

    def pass_time(self) -> None:
        """Until nothing is due any more."""
        self.system.settle()
        for _ in range(TURNS_LIMIT):
            if not skip(self.system):
                return
        raise AssertionError("time goes round in circles")


@dataclass(frozen=True)
class Scenario:
    tell: Callable[[Tour], None]
    may_differ: tuple[str, ...] = ()
    """The methods whose failure an attempt of a step has to feel, so that its run goes another way."""

    def __str__(self) -> str:
        return self.tell.__name__


SCENARIOS: list[Scenario] = []


def scenario(*may_differ: str) -> Callable[[Callable[[Tour], None]], Callable[[Tour], None]]:
    def add(tell: Callable[[Tour], None]) -> Callable[[Tour], None]:
        SCENARIOS.append(Scenario(tell, may_differ))
        return tell

    return add


def count() -> int:
    """Notes that an attempt runs. Returns its number."""
    info = step_info()
    ran[f"{info.run_id}/{info.step_id}/{info.attempt}"] += 1
    return info.attempt


# --- steps ---------------------------------------------------------------------------------------------------------


@step(name="wire_plain", retry=AGAIN)
async def plain(value: Any) -> Any:
    count()
    return value


@step(name="wire_shaky", retry=AGAIN)
async def shaky() -> str:
    if count() == 1:
        raise ConnectionError("not yet")
    return "at last"


@workflow(name="wire_steps")
async def steps() -> list[Any]:
    return await asyncio.gather(plain(1), plain(2))


@scenario()
def steps_side_by_side(tour: Tour) -> None:
    tour.start(steps)


@workflow(name="wire_again")
async def again() -> str:
    return await shaky()


@scenario()
def a_step_that_is_tried_again(tour: Tour) -> None:
    tour.start(again)


@step(name="wire_once", guarantee="at_most_once", timeout="5m")
async def once(value: Any) -> Any:
    count()
    return value


@workflow(name="wire_once")
async def steps_once() -> list[Any]:
    results = []
    for value in ("queued", "inline"):
        try:
            call = once.options(inline=value == "inline")
            results.append(await call(value))
        except StepInterruptedError:
            results.append("interrupted")
    return results


@scenario("claim", "put_outcome", "append")
def steps_that_run_once_at_most(tour: Tour) -> None:
    tour.start(steps_once)


in_hand = plain.options(inline=True)


@workflow(name="wire_inline", inline_steps=True)
async def inline_steps() -> list[Any]:
    return [await plain(1), await asyncio.gather(plain(2), plain(3)), await shaky()]


@workflow(name="wire_inline_once")
async def inline_once() -> None:
    await in_hand(1)


@scenario()
def inline_steps_and_one_again(tour: Tour) -> None:
    tour.start(inline_steps)


@step(name="wire_beats", heartbeat_timeout="1m", retry=AGAIN)
async def beats() -> Any:
    attempt = count()
    step_info().heartbeat({"at": 10 * attempt})
    if attempt == 1:
        raise ConnectionError("not yet")
    return step_info().heartbeat_details


@workflow(name="wire_heartbeats")
async def heartbeats() -> Any:
    return await beats()


@scenario("beat")
def a_step_that_sends_heartbeats(tour: Tour) -> None:
    tour.start(heartbeats)


@step(
    name="wire_beats_once", heartbeat_timeout="2m", retry=RetryPolicy(max_attempts=2, initial_interval="1m", jitter=0)
)
async def beats_once() -> Any:
    count()
    raise ConnectionError("not yet")


@workflow(name="wire_abandons")
async def abandons() -> str:
    try:
        async with asyncio.timeout(5):
            return str(await beats_once())
    except TimeoutError:
        return "too late"


@scenario()
def a_step_that_is_called_off(tour: Tour) -> None:
    tour.start(abandons)


@step(name="wire_waits_its_turn")
async def waits_its_turn() -> int:
    return count()


@workflow(name="wire_waits_its_turn")
async def waits_for_a_place() -> int:
    return await waits_its_turn()


@scenario()
def a_step_that_waits_for_its_place(tour: Tour) -> None:
    tour.ask(starting.start, RUN, waits_for_a_place, {})
    tour.system.poll("runs")
    tour.system.clock.forward(tour.system.clock.now() + timedelta(minutes=1))
    tour.system.settle()


# --- time ----------------------------------------------------------------------------------------------------------


@workflow(name="wire_sleeps")
async def sleeps() -> str:
    await sleep("2s")
    await sleep("1h")
    try:
        async with asyncio.timeout(86_400):
            return str(await wait_for_signal("go"))
    except TimeoutError:
        return "nobody came"


@scenario()
def timers_short_and_long_and_one_taken_back(tour: Tour) -> None:
    tour.start(sleeps)
    while tour.kinds().count("TimerStarted") < 3:
        assert skip(tour.system)
    tour.signal("go", "gone")


# --- from outside --------------------------------------------------------------------------------------------------


@workflow(name="wire_large")
async def large() -> list[str]:
    signal = await wait_for_signal("large", str)
    return [signal, await plain("y" * LARGE)]


@scenario()
def values_that_go_to_s3(tour: Tour) -> None:
    tour.start(large)
    tour.signal("large", "x" * LARGE)
    tour.tell(lambda world: len(world.read_run(RUN).result[0]))


@workflow(name="wire_long_commit")
async def long_commit() -> list[int]:
    return [len(text) for text in await asyncio.gather(*(in_hand(str(n) * 60_000) for n in range(6)))]


@scenario()
def a_commit_that_goes_to_s3(tour: Tour) -> None:
    tour.start(long_commit)
    tour.tell(lambda world: len(world.load_history(RUN)))


@workflow(name="wire_hooks")
async def hooks(token: str) -> list[Any]:
    with create_hook(token=token, metadata={"for": "tests"}) as hook:
        values = [await hook]
    set_attributes(values=len(values))
    return [*values, await create_hook(token=f"{token}-2")]


@scenario()
def hooks_that_are_resumed(tour: Tour) -> None:
    tour.start(hooks, token="key")
    tour.tell(lambda world: webhooks.resume_hook(world, "key", 1, resume_id="first").hook_id)
    tour.system.settle()
    tour.tell(lambda world: webhooks.resume_hook(world, "key-2", 2, resume_id="second").hook_id)


@workflow(name="wire_webhook")
async def webhook() -> str:
    hook = create_webhook(respond="workflow")
    request = await hook
    request.respond(201, {"said": request.text()})
    await wait_for_signal("done")
    return request.method


@scenario()
def a_webhook_that_answers(tour: Tour) -> None:
    tour.start(webhook)
    (created,) = [event for event in tour.system.reader.load_history(RUN) if event.event_type == "HookCreated"]

    def post(world: Any) -> tuple[int, bytes]:
        answer = webhooks.receive(
            world,
            created.payload["token"],
            method="POST",
            body=b"hello",
            request_id="once",
            sleep=lambda _: tour.system.settle(),
        )
        return answer.status, answer.body

    tour.tell(post)
    tour.signal("done")


@workflow(name="wire_updates")
async def wire_updates() -> list[str]:
    items: list[str] = []

    @on_update("add")
    async def add(item: str) -> int:
        items.append(await plain(item))
        return len(items)

    await wait_for_signal("done")
    return items


@scenario()
def an_update_and_its_answer(tour: Tour) -> None:
    tour.start(wire_updates)
    update = tour.ask(updates.send_update, RUN, "add", ("book",), update_id="u1")
    tour.system.settle()
    reply = tour.ask(updates.look_for_answer, update)
    tour.told.append(reply and reply.result)
    tour.signal("done")
