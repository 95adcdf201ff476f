"""An exception that a step raises is that exception in the workflow, and that of the run: type, arguments, cause."""

from typing import Any

from tests.support.scenarios import Env
from worldflow import RetryPolicy, StepError, sleep, step, workflow


class PaymentError(Exception):
    pass


class CardDeclined(PaymentError):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code


once = RetryPolicy(max_attempts=1)


async def test_in_the_workflow_on_the_first_run_and_on_replay(env: Env) -> None:
    @step(retry=once)
    async def charge() -> None:
        raise CardDeclined(51, "no funds")

    @workflow
    async def paying() -> list[Any]:
        try:
            await charge()
        except PaymentError as error:
            await sleep("1s")
            return [type(error).__name__, error.args, getattr(error, "code", None)]
        return []

    assert await env.run(paying) == ["CardDeclined", [51, "no funds"], 51]


async def test_out_of_the_run(env: Env) -> None:
    @step(retry=once)
    async def charge() -> None:
        raise CardDeclined(51, "no funds")

    @workflow
    async def paying() -> None:
        await charge()

    error = await (await env.start(paying)).failure()

    assert isinstance(error, CardDeclined)
    assert error.code == 51


async def test_with_its_cause(env: Env) -> None:
    @step(retry=once)
    async def charge() -> None:
        try:
            raise ConnectionResetError("the line broke")
        except ConnectionResetError as error:
            raise PaymentError("not charged") from error

    @workflow
    async def paying() -> str:
        try:
            await charge()
        except PaymentError as error:
            return repr(error.__cause__)
        return ""

    assert await env.run(paying) == "ConnectionResetError('the line broke')"


async def test_a_type_that_cannot_be_rebuilt(env: Env) -> None:
    class Local(Exception):
        pass

    @step(retry=once)
    async def fail() -> None:
        raise Local("here only")

    @workflow
    async def failing() -> list[str]:
        try:
            await fail()
        except StepError as error:
            return [error.type_name.rsplit(".", 1)[-1], str(error)]
        return []

    name, message = await env.run(failing)
    assert name == "Local"
    assert "here only" in message


async def test_an_error_of_the_workflow_itself(env: Env) -> None:
    @workflow
    async def failing() -> None:
        await sleep("1s")
        raise CardDeclined(5, "by the workflow")

    error = await (await env.start(failing)).failure()

    assert isinstance(error, CardDeclined)
    assert error.args == (5, "by the workflow")
