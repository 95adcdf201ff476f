import asyncio
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.driver import Drive
from worldflow import UnsupportedOperationError, workflow


def the_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


async def closing(call: Callable[[Coroutine[Any, Any, None]], object]) -> None:
    """Calls something that takes a coroutine, and refuses it."""
    coroutine = asyncio.sleep(1)
    try:
        call(coroutine)
    finally:
        coroutine.close()


async def an_executor_of_its_own() -> None:
    with ThreadPoolExecutor() as pool:
        await the_loop().run_in_executor(pool, print)


async def a_socket() -> None:
    with socket.socket() as connection:
        await the_loop().sock_connect(connection, ("127.0.0.1", 1))


WISHES: list[tuple[Callable[[], Any], str]] = [
    (lambda: asyncio.to_thread(print), "run_in_executor"),
    (lambda: the_loop().run_in_executor(None, print), "run_in_executor"),
    (an_executor_of_its_own, "run_in_executor"),
    (lambda: the_loop().set_default_executor(ThreadPoolExecutor()), "set_default_executor"),
    (lambda: the_loop().shutdown_default_executor(), "shutdown_default_executor"),
    (lambda: closing(lambda call: asyncio.run_coroutine_threadsafe(call, the_loop())), "call_soon_threadsafe"),
    (lambda: asyncio.open_connection("127.0.0.1", 1), "create_connection"),
    (lambda: asyncio.start_server(print, "127.0.0.1", 0), "create_server"),
    (lambda: asyncio.open_unix_connection("/nowhere"), "create_unix_connection"),
    (
        lambda: the_loop().create_datagram_endpoint(asyncio.DatagramProtocol, ("127.0.0.1", 1)),
        "create_datagram_endpoint",
    ),
    (lambda: the_loop().getaddrinfo("example.org", 80), "getaddrinfo"),
    (lambda: asyncio.create_subprocess_exec("true"), "subprocess_exec"),
    (lambda: asyncio.create_subprocess_shell("true"), "subprocess_shell"),
    (a_socket, "sock_connect"),
    (lambda: the_loop().add_reader(0, print), "add_reader"),
    (lambda: the_loop().connect_read_pipe(asyncio.Protocol, sys.stdin), "connect_read_pipe"),
    (lambda: the_loop().add_signal_handler(signal.SIGTERM, print), "add_signal_handler"),
    (lambda: the_loop().remove_signal_handler(signal.SIGTERM), "remove_signal_handler"),
    (lambda: the_loop().call_soon_threadsafe(print), "call_soon_threadsafe"),
    (lambda: the_loop().run_forever(), "run_forever"),
    (lambda: closing(lambda call: the_loop().run_until_complete(call)), "run_until_complete"),
    (lambda: the_loop().stop(), "stop"),
    (lambda: the_loop().close(), "close"),
    (lambda: the_loop().set_task_factory(None), "set_task_factory"),
    (lambda: the_loop().set_exception_handler(None), "set_exception_handler"),
    (lambda: the_loop().set_debug(True), "debug"),
]


@pytest.mark.parametrize(("wish", "name"), WISHES, ids=[name for _, name in WISHES])
def test_it_is_refused_by_name(drive: Drive, wish, name: str):
    @workflow
    async def wishful() -> None:
        await wish()  # what is refused raises before there is anything to await

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
