"""What threads do is in no history. Where they do not ask the loop by name, they are refused all the same."""

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait

import pytest

from tests.support.driver import Drive
from worldflow import UnsupportedOperationError, workflow


def test_the_future_of_a_thread_pool(drive: Drive):
    @workflow
    async def wraps() -> int:
        done: Future[int] = Future()
        wrapped = asyncio.wrap_future(done)
        done.set_result(3)
        return await wrapped

    run = drive(wraps)
    assert run.decided == ["RunFailed"]
    with pytest.raises(UnsupportedOperationError, match="@step"):
        run.result()


def test_a_future_that_a_thread_fulfils(drive: Drive):
    @workflow
    async def fulfilled() -> int:
        future = asyncio.get_running_loop().create_future()
        waiting = asyncio.gather(future)
        with ThreadPoolExecutor(1) as pool:
            fulfilling = pool.submit(future.set_result, 3)
            wait([fulfilling])  # or the traceback would say whether it was quick
            fulfilling.result()
        return (await waiting)[0]

    run = drive(fulfilled)
    with pytest.raises(UnsupportedOperationError, match="thread"):
        run.result()


@pytest.mark.parametrize(
    "name", ["set_default_executor", "shutdown_default_executor", "set_task_factory", "set_exception_handler"]
)
def test_it_is_not_called_input_or_output(drive: Drive, name: str):
    @workflow
    async def wishful() -> str:
        try:
            getattr(asyncio.get_running_loop(), name)(None)
        except UnsupportedOperationError as error:
            return str(error)
        return ""

    message = drive(wishful).result()
    assert name in message
    assert "input or output" not in message


def test_a_thread_that_calls_the_loop_is_told(drive: Drive):
    @workflow
    async def told() -> str:
        loop, errors = asyncio.get_running_loop(), []

        def call() -> None:
            try:
                loop.call_soon_threadsafe(print)
            except UnsupportedOperationError as error:
                errors.append(str(error))

        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
        return errors[0]

    assert "a workflow has one thread" in drive(told).result()
