import pytest

from tests.unit.determinism.conftest import Found
from worldflow.determinism import check

CLOCK, SLEEP, CHANCE, UUID = "worldflow.now()", "await worldflow.sleep()", "worldflow.random()", "worldflow.uuid4()"
LOG = "worldflow.logger, which logs once"
THREAD = "a plain (not async) function with @step"
STEP = "a @step"


@pytest.mark.parametrize(
    ("imports", "statement", "what", "instead"),
    [
        ("import time", "time.time()", "time.time", CLOCK),
        ("import time as t", "t.time_ns()", "time.time_ns", CLOCK),
        ("from time import monotonic as clock", "clock()", "time.monotonic", CLOCK),
        ("from time import *", "perf_counter()", "time.perf_counter", CLOCK),
        ("import time", "time.sleep(1)", "time.sleep", SLEEP),
        ("import time", "time.localtime()", "time.localtime()", CLOCK),
        ("import time", "time.strftime('%Y')", "time.strftime()", CLOCK),
        ("import datetime", "datetime.datetime.now()", "datetime.datetime.now", CLOCK),
        ("import datetime as dt", "dt.datetime.now(dt.UTC).isoformat()", "datetime.datetime.now", CLOCK),
        ("from datetime import datetime", "datetime.utcnow()", "datetime.datetime.utcnow", CLOCK),
        ("from datetime import datetime as when", "due = when.today()", "datetime.datetime.today", CLOCK),
        ("from datetime import date", "return [date.today()]", "datetime.date.today", CLOCK),
        ("import pendulum", "pendulum.now()", "pendulum.now", CLOCK),
        ("import random", "random.random()", "random.random", CHANCE),
        ("import random", "if random.choice([1, 2]) > 1:\n    pass", "random.choice", CHANCE),
        ("from random import shuffle", "shuffle([1, 2])", "random.shuffle", CHANCE),
        ("import random", "random.Random().random()", "random.Random()", CHANCE),
        ("import random", "random.SystemRandom().random()", "random.SystemRandom", CHANCE),
        ("import numpy as np", "np.random.normal()", "np.random.normal()", CHANCE),
        ("import secrets", "f'{secrets.token_hex()}'", "secrets.token_hex", CHANCE),
        ("import os", "os.urandom(3)", "os.urandom", CHANCE),
        ("import uuid", "uuid.uuid4().hex", "uuid.uuid4", UUID),
        ("from uuid import uuid1 as new", "str(new())", "uuid.uuid1", UUID),
        ("import os", "os.environ['REGION']", "os.environ", None),
        ("import os", "os.environ.get('REGION')", "os.environ", None),
        ("from os import environ", "'REGION' in environ", "os.environ", None),
        ("from os import getenv", "getenv('REGION')", "os.getenv", None),
        ("import os", "os.getpid()", "os.getpid()", STEP),
        ("import os", "os.path.exists('x')", "os.path.exists()", STEP),
        ("import platform", "platform.node()", "platform.node()", STEP),
        ("", "open('x').read()", "open", STEP),
        ("", "with open('x') as file:\n    file.read()", "open", STEP),
        ("from pathlib import Path", "Path('x').read_text()", "Path('x').read_text()", STEP),
        ("from pathlib import Path", "path = Path('x') / 'y'\npath.write_text('z')", "path.write_text()", STEP),
        ("import pathlib", "pathlib.Path.cwd()", "pathlib.Path.cwd()", STEP),
        ("import shutil", "shutil.rmtree('x')", "shutil.rmtree()", STEP),
        ("import tempfile", "tempfile.mkdtemp()", "tempfile.mkdtemp()", STEP),
        ("", "input('Well?')", "input", "wait_for_signal()"),
        ("", "print('here')", "print", LOG),
        ("import sys", "sys.stdout.write('here')", "sys.stdout", LOG),
        ("import threading", "threading.Thread(target=f).start()", "threading.Thread()", THREAD),
        ("from threading import Lock", "with Lock():\n    pass", "Lock()", THREAD),
        ("from concurrent.futures import ThreadPoolExecutor as Pool", "Pool().submit(f)", "Pool()", THREAD),
        ("from concurrent import futures", "futures.ProcessPoolExecutor()", "futures.ProcessPoolExecutor()", THREAD),
        ("import queue", "queue.Queue()", "queue.Queue()", "asyncio.Queue"),
        ("", "await asyncio.to_thread(f)", "asyncio.to_thread", THREAD),
        ("", "await asyncio.wrap_future(f())", "asyncio.wrap_future", THREAD),
        (
            "",
            "loop = asyncio.get_running_loop()\nawait loop.run_in_executor(None, f)",
            "loop.run_in_executor()",
            THREAD,
        ),
        ("", "asyncio.get_event_loop().call_soon_threadsafe(f)", None, THREAD),
        ("", "asyncio.get_running_loop().add_signal_handler(2, f)", None, "wait_for_signal()"),
        ("", "asyncio.get_running_loop().getaddrinfo('example.org', 80)", None, STEP),
        ("", "await asyncio.open_connection('example.org', 80)", "asyncio.open_connection", STEP),
        ("", "await asyncio.start_server(f)", "asyncio.start_server", STEP),
        ("", "await asyncio.create_subprocess_exec('ls')", "asyncio.create_subprocess_exec", STEP),
        ("", "asyncio.run(f())", "asyncio.run", "await the coroutine"),
        ("", "with asyncio.Runner() as runner:\n    runner.run(f())", "asyncio.Runner", "await the coroutine"),
        ("import subprocess", "subprocess.run(['ls'])", "subprocess.run()", STEP),
        ("import os", "os.system('ls')", "os.system()", STEP),
        ("import signal", "signal.signal(2, f)", "signal.signal()", "wait_for_signal()"),
        ("import socket", "socket.gethostname()", "socket.gethostname()", STEP),
        ("import requests", "requests.get('x').json()", "requests.get()", STEP),
        ("import requests as r", "r.Session().get('x')", "r.Session()", STEP),
        ("import httpx", "httpx.post('x')", "httpx.post()", STEP),
        ("import urllib.request", "urllib.request.urlopen('x')", "urllib.request.urlopen()", STEP),
        ("from urllib.request import urlopen", "urlopen('x')", "urlopen()", STEP),
        ("import boto3", "boto3.client('s3').list_buckets()", "boto3.client()", STEP),
        ("import aiohttp", "async with aiohttp.ClientSession() as s:\n    pass", "aiohttp.ClientSession()", STEP),
        ("", "hash('x')", "hash", None),
        ("", "sorted([], key=id)", "id", None),
        ("", "global total\ntotal = 1", "global total", "a local variable"),
    ],
)
def test_with_what_to_write_instead(found: Found, imports: str, statement: str, what: str | None, instead: str | None):
    (finding,) = found(statement, imports)
    assert what is None or finding.what == what
    assert instead is None or finding.instead == instead
    assert finding.why
    assert not finding.is_hint


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        ("import logging\nlog = logging.getLogger(__name__)", "log.info('x')"),
        ("import logging", "logging.warning('x')"),
        ("from loguru import logger", "logger.info('x')"),
        ("import structlog\nlog = structlog.get_logger()", "log.info('x')"),
        ("from aws_lambda_powertools import Logger\nlog = Logger()", "log.exception('x')"),
    ],
)
def test_a_log_is_only_a_hint(found: Found, module: str, statement: str):
    (finding,) = found(statement, module)
    assert finding.is_hint
    assert finding.instead == LOG


def test_a_future_made_by_hand_is_only_a_hint(found: Found):
    (finding,) = found("future = asyncio.Future()\nfuture.set_result(1)")
    assert finding.is_hint
    assert finding.line == 7


@pytest.mark.parametrize(
    ("statement", "whats"),
    [
        ("await asyncio.to_thread(time.sleep, 1)", ["asyncio.to_thread", "time.sleep"]),
        ("a, b = time.time(), lambda: time.monotonic()", ["time.time", "time.monotonic"]),
        ("x = [time.time() for _ in y if time.monotonic()]", ["time.time", "time.monotonic"]),
        (
            "async for x in f(time.time()):\n    await g(lambda at=time.monotonic(): at)",
            ["time.time", "time.monotonic"],
        ),
        ("match x:\n    case 1 if time.time():\n        pass", ["time.time"]),
        ("try:\n    pass\nexcept* ValueError:\n    time.time()", ["time.time"]),
        (
            "class Here:\n    at = time.time()\n    def f(self):\n        time.monotonic()",
            ["time.time", "time.monotonic"],
        ),
        ("open(input()).read(time.time())", ["open", "input", "time.time"]),
        ("clock = time.time\nclock()", ["time.time"]),
        ("import time as t\nt.time()", ["time.time"]),
        ("from time import time\ntime()", ["time.time"]),
    ],
)
def test_wherever_it_is(found: Found, statement: str, whats: list[str]):
    assert [finding.what for finding in found(statement, "import time")] == whats


def test_the_place_counts_from_1():
    source = "import time\nfrom worldflow import workflow\n@workflow\nasync def flow(): return 'é', time.time()\n"
    (finding,) = check(source, "flows.py").findings
    assert (finding.path, finding.line, finding.column) == ("flows.py", 4, 31)
    assert (finding.function, finding.workflow) == ("flow", "flow")


@pytest.mark.parametrize(
    "value", ["time.time()", "f'{time.time()}'[0]", "datetime.now(UTC).isoformat()", "uuid.uuid4().hex"]
)
def test_a_value_that_the_module_made_when_it_was_imported(found: Found, value: str):
    module = f"import time, uuid\nfrom datetime import UTC, datetime\nMADE = {value}\n"
    expected = [] if "[0]" in value else ["MADE"]
    assert [finding.what for finding in found("return MADE", module)] == expected


def test_a_source_of_chance_that_all_runs_share(found: Found):
    (finding,) = found("return CHANCE.random()", "import random\nCHANCE = random.Random(4)")
    assert finding.what == "CHANCE"
    assert "all runs" in finding.why


def test_a_client_of_the_module(found: Found):
    (finding,) = found("client.put_object(Bucket='x')", "import boto3\nclient = boto3.client('s3')")
    assert finding.what == "client.put_object()"


def test_a_client_made_in_the_workflow_is_told_once(found: Found):
    (finding,) = found(
        "async with httpx.AsyncClient() as client:\n    await client.get('x')\n    await client.get('y')",
        "import httpx",
    )
    assert finding.what == "httpx.AsyncClient()"
