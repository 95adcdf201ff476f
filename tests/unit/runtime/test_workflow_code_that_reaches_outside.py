"""In a `WorkflowEnvironment`, what a workflow does past its event loop raises; the error says where, and what to do."""

import asyncio
import concurrent.futures
import datetime
import http.client
import importlib
import inspect
import logging
import os
import pathlib
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.request
import zoneinfo
from time import sleep as nap
from typing import Any

import pytest

from worldflow import RunFailedError, UnsupportedOperationError, logger, on_update, step, wait_for_signal, workflow
from worldflow.runtime.orchestrator import Orchestrator
from worldflow.serving.worker import Worker
from worldflow.testing import WorkflowEnvironment
from worldflow.worlds.local.world import LocalWorld

REACHES = {
    "opens a file": (lambda: open(__file__), "opened a file", "do it in a @step"),  # noqa: SIM115
    "reads by path": (lambda: pathlib.Path(__file__).read_text(), "opened a file", "do it in a @step"),
    "os.open": (lambda: os.open(__file__, os.O_RDONLY), "opened a file", "do it in a @step"),
    "lists a directory": (lambda: os.listdir("."), "accessed the file system", "do it in a @step"),
    "removes a file": (lambda: os.remove("/nowhere/at/all"), "accessed the file system", "do it in a @step"),
    "copies a file": (
        lambda: shutil.copyfile("/nowhere/a", "/nowhere/b"),
        "accessed the file system",
        "do it in a @step",
    ),
    "a temporary file": (lambda: tempfile.mkstemp(), "accessed the file system", "in a @step"),
    "a database": (lambda: sqlite3.connect(":memory:"), "opened a database", "do it in a @step"),
    "connects": (lambda: socket.create_connection(("127.0.0.1", 9)), "accessed the network", "do it in a @step"),
    "looks up a name": (lambda: socket.getaddrinfo("localhost", 80), "accessed the network", "do it in a @step"),
    "urlopen": (lambda: urllib.request.urlopen("http://127.0.0.1:9/"), "accessed the network", "do it in a @step"),
    "http.client": (
        lambda: http.client.HTTPConnection("127.0.0.1", 9).request("GET", "/"),
        "accessed the network",
        "do it in a @step",
    ),
    "runs a process": (lambda: subprocess.run(["true"]), "started a process", "do it in a @step"),
    "a shell": (lambda: os.system("true"), "started a process", "do it in a @step"),
    "sleeps": (lambda: time.sleep(0), r"called time.sleep\(\)", r"await worldflow.sleep\(...\)"),
    "sleeps by name": (lambda: nap(0), r"called time.sleep\(\)", r"await worldflow.sleep\(...\)"),
    "a thread": (lambda: threading.Thread(target=print).start(), "started a thread", "plain .* function with @step"),
    "a pool": (
        lambda: concurrent.futures.ThreadPoolExecutor().submit(print),
        "started a thread",
        "plain .* function with @step",
    ),
    "a timer": (lambda: threading.Timer(1, print).start(), "started a thread", "plain .* function with @step"),
    "asks": (lambda: input(), "asked for input", r"use wait_for_signal\(\)"),
}


@pytest.mark.parametrize(("reach", "what", "instead"), REACHES.values(), ids=REACHES)
async def test_it_raises_and_names_the_line(reach, what, instead):
    @workflow
    async def reaches() -> None:
        reach()

    async with WorkflowEnvironment() as env:
        run = await env.start(reaches)
        with pytest.raises(RunFailedError) as caught:
            await run.result()
    error = caught.value.__cause__
    assert isinstance(error, UnsupportedOperationError)
    line = inspect.getsourcelines(reach)[1]
    place = rf"\(at {__file__}:({line}|{line + 1}), .*\)"
    assert re.search(rf"^workflow 'reaches' ({what}), .* {place}: .*{instead}", str(error))


@pytest.mark.parametrize("where", ["a task", "a helper", "a handler of updates", "after a wait"])
async def test_wherever_the_workflows_code_is(where):
    def peek() -> int:
        return len(os.listdir("."))

    @workflow
    async def reaches() -> int:
        async def task() -> int:
            return len(os.listdir("."))

        if where == "a task":
            return await asyncio.create_task(task())
        if where == "a handler of updates":
            on_update("peek")(peek)
        if where != "a helper":
            await wait_for_signal("go")
        return peek()

    async with WorkflowEnvironment() as env:
        run = await env.start(reaches)
        if where == "a handler of updates":
            with pytest.raises(UnsupportedOperationError):
                await run.update("peek")
            return
        if where == "after a wait":
            await run.signal("go")
        with pytest.raises(RunFailedError, match="accessed the file system"):
            await run.result()


async def test_steps_do_as_they_like():
    @step
    def plain() -> str:
        time.sleep(0)
        with open(__file__) as file:
            return file.readline()

    @step
    async def inline() -> int:
        thread = threading.Thread(target=lambda: None)
        thread.start()
        thread.join()
        return len(os.listdir("."))

    @workflow
    async def careful() -> list[Any]:
        return [await plain(), await inline.options(inline=True)(), await inline()]

    async with WorkflowEnvironment() as env:
        first, *counts = await (await env.start(careful)).result()
    assert first.startswith('"""')
    assert all(counts)


async def test_what_python_does_by_itself_is_left_alone(tmp_path, monkeypatch):
    (tmp_path / "made_for_this_test.py").write_text("VALUE = 5\n")
    monkeypatch.syspath_prepend(tmp_path)
    handler = logging.FileHandler(tmp_path / "log.txt", delay=True)
    monkeypatch.setattr(logger, "handlers", [handler])

    @workflow
    async def imports() -> list[str]:
        logger.warning("opened late")
        sys.modules.pop("made_for_this_test", None)
        value = importlib.import_module("made_for_this_test").VALUE
        zoneinfo.ZoneInfo.clear_cache()
        vienna = datetime.datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Vienna"))
        try:
            raise ValueError("no")
        except ValueError:
            text = traceback.format_exc()
        return [str(value), str(vienna.utcoffset()), text.splitlines()[-1]]

    async with WorkflowEnvironment() as env:
        run = await env.start(imports)
        handler.close()
        assert await run.result() == ["5", "1:00:00", "ValueError: no"]


async def test_a_comment_allows_it():
    @workflow
    async def reads() -> int:
        return len(os.listdir("."))  # worldflow: allow

    async with WorkflowEnvironment() as env:
        assert await (await env.start(reads)).result()


async def test_production_is_left_alone():
    @workflow
    async def reads() -> int:
        return len(os.listdir("."))

    async with WorkflowEnvironment():
        pass  # the hook is there
    world = LocalWorld()
    async with Worker(world):
        run = await Orchestrator(world).start_workflow("reads-1", reads)
        assert await run.result()
    world.close()


async def test_code_outside_a_workflow_is_left_alone():
    async with WorkflowEnvironment():
        assert os.listdir(".")
        time.sleep(0)
