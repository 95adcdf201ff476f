"""More of the representative runs of `tours.py`: of runs that end, follow or start each other, and of schedules."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.support.systems import skip
from tests.support.tours import LARGE, RUN, Tour, again, count, in_hand, inline_once, scenario
from worldflow import RetryPolicy, continue_as_new, step, step_info, wait_for_signal, workflow
from worldflow.runtime import schedules, sending, starting
from worldflow.runtime.sweep import PENDING_AFTER, sweep


@workflow(name="wire_waits")
async def waits() -> str:
    try:
        return str(await wait_for_signal("go"))
    finally:
        await in_hand("tidied up")


@scenario()
def a_run_that_is_cancelled(tour: Tour) -> None:
    tour.start(waits)
    tour.ask(sending.cancel, RUN, "enough")


@scenario("create_run", "put_generation", "send")
def a_run_that_is_terminated_and_replaced(tour: Tour) -> None:
    tour.start(waits)
    tour.ask(starting.start, RUN, waits, {}, if_running="terminate_existing")
    tour.system.settle()
    tour.ask(sending.signal, RUN, "go", signal_id="go-1")


@workflow(name="wire_fails_first")
async def fails_first() -> str:
    return await fails_in()


@step(name="wire_fails_in", retry=RetryPolicy(max_attempts=1))
async def fails_in() -> str:
    count()
    if step_info().run_id == RUN:
        raise ConnectionError("not here")
    return "there"


@scenario()
def a_run_that_is_retried(tour: Tour) -> None:
    tour.start(fails_first)
    tour.ask(starting.retry, RUN)


@scenario()
def a_run_that_is_forked(tour: Tour) -> None:
    tour.start(inline_once)
    tour.ask(starting.fork, RUN, "forked", after=1)


@scenario()
def a_signal_that_starts_a_run_twice(tour: Tour) -> None:
    for number in (1, 2):
        send = {"name": "go", "value": number, "signal_id": f"go-{number}"}
        tour.ask(starting.signal_with_start, RUN, waits, {}, **send)
        tour.system.settle()


@workflow(name="wire_nothing")
async def nothing() -> None: ...


@scenario()
def a_message_that_nobody_can_read(tour: Tour) -> None:
    tour.system.stack.sqs.send_message(
        QueueUrl=tour.system.stack.urls["runs"], MessageBody="hello", MessageGroupId=RUN, MessageDeduplicationId="x"
    )
    tour.ask(starting.start, RUN, nothing, {})
    while tour.system.stack.messages("runs"):
        tour.system.poll("runs")
    tour.told += [message.body for message in tour.system.stack.messages("dead-runs")]
    tour.system.stack.purge("dead-runs")


@scenario("send")
def a_dead_step_task(tour: Tour) -> None:
    tour.ask(starting.start, RUN, again, {})
    while not tour.system.stack.messages("steps"):
        tour.system.poll("runs")
    tour.system.stack.move("steps", "dead-steps")


@scenario()
def a_dead_run_message(tour: Tour) -> None:
    tour.start(waits)
    tour.ask(sending.signal, RUN, "go", "gone", signal_id="go-1")
    tour.system.stack.move("runs", "dead-runs")


@scenario()
def a_run_whose_start_was_lost(tour: Tour) -> None:
    tour.ask(starting.start, RUN, nothing, {})
    tour.system.stack.purge("runs")
    tour.system.clock.forward(tour.system.clock.now() + 2 * PENDING_AFTER)
    tour.ask(sweep)


# --- several runs --------------------------------------------------------------------------------------------------


@workflow(name="wire_child")
async def child(value: int) -> int:
    if value < 0:
        await wait_for_signal("go")
    return value + 1


@workflow(name="wire_parent")
async def parent() -> int:
    return await child(1)


@scenario()
def a_child(tour: Tour) -> None:
    tour.start(parent)


@workflow(name="wire_large_child")
async def large_child(value: str) -> str:
    return f"{value}!"


@workflow(name="wire_large_parent")
async def large_parent(value: str) -> int:
    return len(await large_child(value))


@scenario()
def a_large_value_for_a_child(tour: Tour) -> None:
    tour.start(large_parent, value="x" * LARGE)


@workflow(name="wire_cancelling_parent")
async def cancelling_parent() -> str:
    try:
        async with asyncio.timeout(1):
            return str(await child(-1))
    except TimeoutError:
        return "too late"


@scenario()
def a_child_that_is_cancelled(tour: Tour) -> None:
    tour.start(cancelling_parent)


@workflow(name="wire_generations")
async def generations(number: int) -> list[Any]:
    if number < 2:
        await wait_for_signal("next")
        continue_as_new(number + 1)
    return [number, await wait_for_signal("kept")]


@scenario()
def a_run_that_continues_as_new(tour: Tour) -> None:
    tour.start(generations, number=1)
    tour.signal("kept", "kept")
    tour.signal("next")


# --- schedules -----------------------------------------------------------------------------------------------------


@scenario()
def a_schedule_that_starts_a_run(tour: Tour) -> None:
    tour.ask(schedules.create, "nightly", nothing, {}, schedule="cron(0 8 * * ? *)")
    assert skip(tour.system)
    tour.tell(lambda world: len(world.list_runs().runs))
    tour.remove_schedule()


@scenario()
def a_schedule_that_is_changed(tour: Tour) -> None:
    tour.ask(schedules.create, "nightly", nothing, {}, schedule="cron(0 8 * * ? *)", paused=True)
    tour.ask(schedules.update, "nightly", schedule="rate(1 hour)", paused=False)
    tour.tell(lambda world: [record.schedule for record in schedules.list_page(world).schedules])
    tour.remove_schedule()
