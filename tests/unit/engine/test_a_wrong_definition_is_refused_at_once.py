import pytest

from worldflow import ConfigurationError, OutsideError, step, step_info, workflow
from worldflow.testing import step_context


def test_a_number_of_retries_is_no_policy():
    with pytest.raises(ConfigurationError, match=r"takes a RetryPolicy\(max_attempts=...\), and not 3"):
        step(retry=3)(len)  # type: ignore[call-overload]


def test_a_plain_function_is_no_workflow():
    with pytest.raises(ConfigurationError, match="needs an `async def` function"):
        workflow(len)  # type: ignore[type-var]


async def test_a_step_that_asks_for_its_attempt_can_be_called_alone():
    @step
    async def key() -> str:
        return step_info().idempotency_key

    with step_context(run_id="order-1", step_id="s7"):
        assert await key() == "order-1/s7"
    with pytest.raises(OutsideError):
        await key()


@pytest.mark.parametrize("name", ["patient shop", "größe", "<lambda>"])
def test_a_name_that_nobody_could_start_it_by(name: str):
    async def shop() -> None: ...

    with pytest.raises(ConfigurationError, match="is not a name"):
        workflow(name=name)(shop)
    with pytest.raises(ConfigurationError, match="is not a name"):
        step(name=name)(shop)
