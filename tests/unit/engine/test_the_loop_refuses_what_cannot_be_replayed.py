import asyncio
import signal

import pytest

from tests.support.driver import Drive
from worldflow import UnsupportedOperationError, workflow


async def a_thread() -> None:
    await asyncio.to_thread(print)


async def an_executor() -> None:
    await asyncio.get_running_loop().run_in_executor(None, print)


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


async def a_reader() -> None:
    asyncio.get_running_loop().add_reader(0, print)


async def a_pipe() -> None:
    await asyncio.get_running_loop().connect_read_pipe(asyncio.Protocol, open("/dev/null"))  # noqa: SIM115


async def a_process_signal() -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, print)


async def a_call_from_a_thread() -> None:
    asyncio.get_running_loop().call_soon_threadsafe(print)


async def running_the_loop() -> None:
    asyncio.get_running_loop().run_forever()


async def stopping_the_loop() -> None:
    asyncio.get_running_loop().stop()


async def closing_the_loop() -> None:
    asyncio.get_running_loop().close()


async def a_task_factory() -> None:
    asyncio.get_running_loop().set_task_factory(None)


async def debug_mode() -> None:
    asyncio.get_running_loop().set_debug(True)


@pytest.mark.parametrize(
    ("wish", "name"),
    [
        (a_thread, "run_in_executor"),
        (an_executor, "run_in_executor"),
        (a_connection, "create_connection"),
        (a_server, "create_server"),
        (a_unix_connection, "create_unix_connection"),
        (a_datagram_endpoint, "create_datagram_endpoint"),
        (a_lookup, "getaddrinfo"),
        (a_subprocess, "subprocess_exec"),
        (a_shell, "subprocess_shell"),
        (a_reader, "add_reader"),
        (a_process_signal, "add_signal_handler"),
        (a_call_from_a_thread, "call_soon_threadsafe"),
        (running_the_loop, "run_forever"),
        (stopping_the_loop, "stop"),
        (closing_the_loop, "close"),
        (a_task_factory, "set_task_factory"),
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
    from worldflow.engine.loop import WorkflowLoop

    inherited = [
        name
        for name in dir(asyncio.AbstractEventLoop)
        if not name.startswith("_") and getattr(WorkflowLoop, name) is getattr(asyncio.AbstractEventLoop, name)
    ]
    assert inherited == []


def test_asyncio_run_in_a_workflow_is_an_error(drive: Drive):
    async def nothing() -> None:
        pass

    @workflow
    async def nested() -> str:
        coroutine = nothing()
        try:
            asyncio.run(coroutine)
        except RuntimeError as error:
            return str(error)
        finally:
            coroutine.close()
        return ""

    assert "running event loop" in drive(nested).result()


async def test_a_workflow_does_not_run_in_the_thread_of_another_loop(drive: Drive):
    @workflow
    async def idle() -> None:
        pass

    with pytest.raises(RuntimeError, match="thread of its own"):
        drive(idle)
