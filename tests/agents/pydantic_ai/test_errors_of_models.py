"""Which errors of a provider are retried, when, and what the workflow catches in the end."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from pydantic_ai import Agent, ModelHTTPError, UsageLimitExceeded, UsageLimits
from pydantic_ai.exceptions import ModelRateLimitError, UnexpectedModelBehavior
from pydantic_ai.messages import ModelMessage

from tests.agents.pydantic_ai.scripts import Script
from tests.agents.pydantic_ai.worlds import Runs, events
from worldflow import RetryPolicy, workflow
from worldflow.ai.pydantic import Durable
from worldflow.engine.history import StepFailed, StepRetryScheduled

raised: list[Exception] = []
attempts: list[None] = []


def _fail(messages: list[ModelMessage]) -> str:
    attempts.append(None)
    if raised:
        raise raised[min(len(attempts), len(raised)) - 1]
    return "fine"


flaky = Agent(
    Script(_fail),
    name="flaky",
    capabilities=[Durable(model={"retry": RetryPolicy(max_attempts=3, initial_interval="1s", jitter=0)})],
)


@workflow
async def ask_flaky() -> list[Any]:
    try:
        return [(await flaky.run("Hi")).output]
    except ModelRateLimitError as error:
        return ["rate limit", error.status_code, error.model_name, error.body, isinstance(error, ModelHTTPError)]
    except ModelHTTPError as error:
        return ["http", error.status_code, error.model_name, error.body]
    except ConnectionError as error:
        return ["connection", str(error)]


@pytest.fixture(autouse=True)
def _fresh() -> None:
    raised.clear()
    attempts.clear()


def busy(seconds: str) -> ModelHTTPError:
    return ModelHTTPError.for_category(
        ModelRateLimitError,
        status_code=429,
        model_name="gpt",
        body={"error": "slow down"},
        headers={"Retry-After": seconds},
    )


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
async def test_a_request_that_the_provider_refuses_is_not_sent_again(runs: Runs, status: int) -> None:
    raised.append(ModelHTTPError(status, "gpt", {"error": "no"}))
    run_id = await runs.start(ask_flaky)

    assert await runs.result(run_id) == ["http", status, "gpt", {"error": "no"}]
    assert len(attempts) == 1
    failed = [event for event in events(runs, run_id) if isinstance(event, StepFailed)]
    assert [event.retryable for event in failed] == [False]


@pytest.mark.parametrize("status", [408, 429, 500, 503, 529])
async def test_a_request_that_may_succeed_later_is_sent_again(runs: Runs, status: int) -> None:
    raised[:] = [ModelHTTPError(status, "gpt", None)] * 3
    run_id = await runs.start(ask_flaky)

    assert await runs.result(run_id) == ["http", status, "gpt", None]
    assert len(attempts) == 3


async def test_a_request_is_sent_again_when_the_provider_says(runs: Runs) -> None:
    raised[:] = [busy("40"), busy("7"), busy("1")]
    run_id = await runs.start(ask_flaky)

    assert await runs.result(run_id) == ["rate limit", 429, "gpt", {"error": "slow down"}, True]
    recorded = events(runs, run_id)
    waits = [
        (event.due - before.at).total_seconds()
        for before, event in itertools.pairwise(recorded)
        if isinstance(event, StepRetryScheduled)
    ]
    assert waits == pytest.approx([40, 7], abs=0.5)


async def test_the_provider_may_say_that_it_is_of_no_use(runs: Runs) -> None:
    raised.append(ModelHTTPError(503, "gpt", None, headers={"x-should-retry": "false"}))

    assert (await runs.result(await runs.start(ask_flaky)))[:2] == ["http", 503]
    assert len(attempts) == 1


async def test_other_errors_are_retried_as_those_of_any_step(runs: Runs) -> None:
    raised[:] = [ConnectionError("lost")] * 3

    assert await runs.result(await runs.start(ask_flaky)) == ["connection", "lost"]
    assert len(attempts) == 3


@workflow
async def ask_within_limits() -> list[str]:
    try:
        await flaky.run("Hi", usage_limits=UsageLimits(request_limit=0))
    except UsageLimitExceeded as error:
        return [type(error).__name__, str(error)]
    return []


async def test_limits_of_usage_hold(runs: Runs) -> None:
    name, text = await runs.result(await runs.start(ask_within_limits))

    assert (name, attempts) == ("UsageLimitExceeded", [])
    assert "request_limit of 0" in text


def _nothing(messages: list[ModelMessage]) -> Any:
    return []


empty = Agent(Script(_nothing), name="empty", capabilities=[Durable()], retries=1)


@workflow
async def ask_for_nothing() -> str:
    try:
        return str((await empty.run("Hi")).output)
    except UnexpectedModelBehavior as error:
        return str(error)


async def test_a_model_that_does_not_answer_fails_the_agents_run(runs: Runs) -> None:
    assert "maximum" in await runs.result(await runs.start(ask_for_nothing))
