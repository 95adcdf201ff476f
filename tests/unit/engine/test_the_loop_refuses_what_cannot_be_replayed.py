import asyncio
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.driver import Drive
from worldflow import UnsupportedOperationError, workflow


async def a_thread() -> None:
    await asyncio.to_thread(print)


async def an_executor() -> None:
    await asyncio.get_running_loop().run_in_executor(None, print)


async def an_executor_of_its_own() -> None:
    with ThreadPoolExecutor() as pool:
        await asyncio.get_running_loop().run_in_executor(pool, print)


async def another_default_executor() -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())


async def no_default_executor() -> None:
    await asyncio.get_running_loop().shutdown_default_executor()


async def a_coroutine_from_a_thread() -> None:
    coroutine = asyncio.sleep(1)
    try:
        asyncio.run_coroutine_threadsafe(coroutine, asyncio.get_running_loop())
    finally:
        coroutine.close()


async def a_connection() -> None:
    await asyncio.open_connection("127.0.0.1", 1)


async def a_server() -> None:
    await asyncio.start_server(print, "127.0.0.1", 0)


async def a_unix_connection() -> None:
    await asyncio.open_unix_connection("/nowhere")


async def a_datagram_endpoint() -> None:
    await asyncio.get_running_loop().create_datagram_endpoint(asyncio.DatagramProtocol, ("127.0.0.1", 1))


async def a_lookup() -> None:
    await asyncio.get_running_loop().getaddrinfo("example.org", 80)


async def a_subprocess() -> None:
    await asyncio.create_subprocess_exec("true")


async def a_shell() -> None:
    await asyncio.create_subprocess_shell("true")


async def a_socket() -> None:
    with socket.socket() as connection:
        await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", 1))


async def a_reader() -> None:
    asyncio.get_running_loop().add_reader(0, print)


async def a_pipe() -> None:
    await asyncio.get_running_loop().connect_read_pipe(asyncio.Protocol, open("/dev/null"))  # noqa: SIM115


async def a_process_signal() -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, print)


async def no_process_signal() -> None:
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)


async def a_call_from_a_thread() -> None:
    asyncio.get_running_loop().call_soon_threadsafe(print)


async def running_the_loop() -> None:
    asyncio.get_running_loop().run_forever()


async def running_a_coroutine() -> None:
    coroutine = asyncio.sleep(1)
    try:
        asyncio.get_running_loop().run_until_complete(coroutine)
    finally:
        coroutine.close()


async def stopping_the_loop() -> None:
    asyncio.get_running_loop().stop()


async def closing_the_loop() -> None:
    asyncio.get_running_loop().close()


async def a_task_factory() -> None:
    asyncio.get_running_loop().set_task_factory(None)


async def an_exception_handler() -> None:
    asyncio.get_running_loop().set_exception_handler(None)


async def debug_mode() -> None:
    asyncio.get_running_loop().set_debug(True)


@pytest.mark.parametrize(
    ("wish", "name"),
    [
        (a_thread, "run_in_executor"),
        (an_executor, "run_in_executor"),
        (an_executor_of_its_own, "run_in_executor"),
        (another_default_executor, "set_default_executor"),
        (no_default_executor, "shutdown_default_executor"),
        (a_coroutine_from_a_thread, "call_soon_threadsafe"),
        (a_connection, "create_connection"),
        (a_server, "create_server"),
        (a_unix_connection, "create_unix_connection"),
        (a_datagram_endpoint, "create_datagram_endpoint"),
        (a_lookup, "getaddrinfo"),
        (a_subprocess, "subprocess_exec"),
        (a_shell, "subprocess_shell"),
        (a_socket, "sock_connect"),
        (a_reader, "add_reader"),
        (a_process_signal, "add_signal_handler"),
        (no_process_signal, "remove_signal_handler"),
        (a_call_from_a_thread, "call_soon_threadsafe"),
        (running_the_loop, "run_forever"),
        (running_a_coroutine, "run_until_complete"),
        (stopping_the_loop, "stop"),
        (closing_the_loop, "close"),
        (a_task_factory, "set_task_factory"),
        (an_exception_handler, "set_exception_handler"),
        (debug_mode, "debug"),
    ],
)
def test_it_is_refused_by_name(drive: Drive, wish, name: str):
    @workflow
    async def wishful() -> None:
        await wish()

    run = drive(wishful)
    assert run.decided == ["RunFailed"]
    with pytest.raises(UnsupportedOperationError, match=name):
        run.result()


def test_it_says_what_to_do_instead(drive: Drive):
    @workflow
    async def wishful() -> str:
        try:
            await asyncio.to_thread(print)
        except UnsupportedOperationError as error:
            return str(error)
        return ""

    assert "@step" in drive(wishful).result()


def test_everything_of_a_loop_is_there_or_refused():
    from worldflow.engine.workflow.loop import WorkflowLoop

    inherited = [
        name
        for name in dir(asyncio.AbstractEventLoop)
        if not name.startswith("_") and getattr(WorkflowLoop, name) is getattr(asyncio.AbstractEventLoop, name)
    ]
    assert inherited == []


def runs(coroutine) -> None:
    asyncio.run(coroutine)


def runs_with_a_runner(coroutine) -> None:
    asyncio.Runner(loop_factory=loop_that_closes).run(coroutine)


def runs_in_a_loop_of_its_own(coroutine) -> None:
    loop_that_closes().run_until_complete(coroutine)


def loop_that_closes() -> asyncio.AbstractEventLoop:
    """A loop that gives its sockets back although nothing could run in it."""
    loop = asyncio.new_event_loop()
    asyncio.get_running_loop().call_soon(loop.close)
    return loop


@pytest.mark.parametrize("run", [runs, runs_with_a_runner, runs_in_a_loop_of_its_own])
def test_another_loop_in_a_workflow_is_an_error(drive: Drive, run):
    async def nothing() -> None:
        pass

    @workflow
    async def nested() -> str:
        coroutine = nothing()
        try:
            run(coroutine)
        except RuntimeError as error:
            return str(error)
        finally:
            coroutine.close()
            await asyncio.sleep(0)
        return ""

    assert "running" in drive(nested).result()


async def test_a_workflow_does_not_run_in_the_thread_of_another_loop(drive: Drive):
    @workflow
    async def idle() -> None:
        pass

    with pytest.raises(RuntimeError, match="in its own thread"):
        drive(idle)
