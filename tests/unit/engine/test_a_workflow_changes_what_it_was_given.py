"""What is recorded is what was sent: a workflow has copies of its own, and may do with them what it likes.

The driver compares each fact before and after the workflow had it, and replays the history from every point.
"""

from typing import Any, get_args

import pytest

from tests.support.driver import START, Drive, Driver, raised
from tests.support.steps import work
from worldflow import create_hook, on_update, sleep, step, wait_for_signal, workflow
from worldflow.engine.history import AnyFact, HookCreated, RunStarted, StepFailed, dump_events
from worldflow.engine.history.failures import decode_exception, encode_exception
from worldflow.engine.workflow.execution import Execution
from worldflow.engine.workflow.retry import RetryPolicy
from worldflow.testing import WorkflowEnvironment

SENT = {"total": 100, "lines": [{"sku": "a"}, {"sku": "b"}]}


class Declined(Exception):
    def __init__(self, text: str, details: Any) -> None:
        super().__init__(text, details)
        self.details = details


def consume(value: Any) -> int:
    """Takes apart what `SENT` is, and returns its total."""
    value["lines"][0]["sku"] = "changed"
    value["lines"].clear()
    value["total"] += 5
    total: int = value.pop("total") - 5
    return total


@workflow
async def receives() -> Any:
    return await work(consume(await wait_for_signal("order")))


@workflow
async def iterates() -> Any:
    async for order in wait_for_signal("order"):
        return await work(consume(order))


@workflow
async def has_a_hook() -> Any:
    with create_hook(token="order") as hook:
        return await work(consume(await hook))


@workflow
async def iterates_over_a_hook() -> Any:
    with create_hook(token="order") as hook:
        async for order in hook:
            return await work(consume(order))


@workflow
async def takes(order: Any) -> Any:
    return await work(consume(order))


@workflow
async def has_a_result() -> Any:
    return await work(consume(await work()))


@workflow
async def has_a_result_of_a_child() -> Any:
    return await work(consume(await takes(SENT)))


@workflow
async def catches_declined() -> Any:
    try:
        return await work()
    except Declined as declined:
        consume(declined.args[1])
        return await work(consume(declined.details))


@workflow
async def catches_declined_of_a_child() -> Any:
    try:
        return await takes(SENT)
    except Declined as declined:
        consume(declined.args[1])
        return await work(consume(declined.details))


@workflow
async def catches_declined_in_a_group() -> Any:
    try:
        return await work()
    except* Declined as group:
        (declined,) = group.exceptions
        amount = consume(declined.details)  # type: ignore[attr-defined]
        consume(declined.args[1])
    return await work(amount)


@workflow
async def is_updated() -> Any:
    amounts = []

    @on_update("order")
    async def order(value: Any) -> int:
        amounts.append(consume(value))
        return amounts[0]

    await wait_for_signal("go")
    return await work(amounts[0])


def _signalled(run: Driver) -> None:
    run.signal("order", SENT)


def _resumed(run: Driver) -> None:
    run.resume_hook("h1", SENT)


def _updated(run: Driver) -> None:
    run.update("order", SENT)
    run.signal("go")


def _caused(run: Driver) -> None:
    error = Declined("no", SENT)
    error.__cause__ = Declined("because", SENT)
    run.fail(work, error)


TOLD = {
    receives: _signalled,
    iterates: _signalled,
    has_a_hook: _resumed,
    iterates_over_a_hook: _resumed,
    has_a_result: lambda run: run.complete(work, SENT),
    has_a_result_of_a_child: lambda run: run.child_completes("c1", SENT),
    catches_declined: _caused,
    catches_declined_of_a_child: lambda run: run.child_fails("c1", Declined("no", SENT)),
    catches_declined_in_a_group: lambda run: run.fail(work, ExceptionGroup("both", [Declined("no", SENT)])),
    is_updated: _updated,
}


@pytest.mark.parametrize("flow", TOLD, ids=lambda flow: flow.name)
def test_the_history_has_what_was_sent(drive: Drive, flow: Any) -> None:
    run = drive(flow)
    TOLD[flow](run)

    assert run.input_of(run.open_step(work)) == {"item": 100}


def test_an_input_is_the_runs_own(drive: Drive) -> None:
    run = drive(takes, SENT)

    assert run.input_of(run.open_step(work)) == {"item": 100}


def test_every_fact_with_data_is_tried() -> None:
    """A new kind of fact that carries data belongs in the tests above, unless the workflow is not given it."""
    with_data = {kind.event_type for kind in get_args(AnyFact) if kind.data_fields or "error" in kind.defaults}
    assert with_data - {"RunForked"} == {
        "RunStarted",
        "StepCompleted",
        "StepFailed",
        "SignalReceived",
        "HookResumed",
        "UpdateReceived",
        "ChildCompleted",
        "ChildFailed",
    }


def test_a_cause_is_the_catchers_own() -> None:
    try:
        raise Declined("no", SENT) from Declined("because", SENT)
    except Declined as error:
        failure = encode_exception(error)
    before = failure.model_dump_json()

    error = decode_exception(failure)
    assert isinstance(error, Declined)
    assert isinstance(error.__cause__, Declined)
    for one in (error, error.__cause__):
        consume(one.details)
        consume(one.args[1])

    assert failure.model_dump_json() == before


def test_a_retry_policy_is_given_an_exception_of_its_own() -> None:
    @step(retry=RetryPolicy(retry_if=lambda error: bool(consume(error.details))))
    async def charges() -> None: ...

    @workflow
    async def flow() -> None:
        await charges()

    execution = Execution("run-1", flow)
    execution.apply(RunStarted(run_id="run-1", workflow_name=flow.name), START)
    failed = StepFailed(step_id="s1", error=encode_exception(raised(Declined("no", SENT))))
    before = dump_events([failed])

    execution.apply(failed, START)

    assert dump_events([failed]) == before
    execution.dispose()


def test_metadata_of_a_hook_is_recorded_as_it_was_given() -> None:
    @workflow
    async def flow() -> None:
        hook = create_hook(metadata=SENT)
        consume(hook.metadata)
        await hook

    execution = Execution("run-1", flow)
    (created,) = execution.apply(RunStarted(run_id="run-1", workflow_name=flow.name), START)

    assert isinstance(created, HookCreated)
    assert created.metadata == SENT
    execution.dispose()


async def test_a_day_later_the_amount_is_still_what_was_sent() -> None:
    @workflow
    async def sleeps() -> Any:
        order = await wait_for_signal("order")
        order["total"] += 5
        await sleep("1d")
        return order["total"]

    async with WorkflowEnvironment() as env:
        run = await env.start(sleeps)
        await run.signal("order", {"total": 100})
        assert await run.result() == 105
        assert [event.value for event in await run.events() if event.event_type == "SignalReceived"] == [{"total": 100}]
