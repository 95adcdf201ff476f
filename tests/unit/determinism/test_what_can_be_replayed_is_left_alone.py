import pytest

from tests.unit.determinism.conftest import Found
from worldflow.determinism import check


@pytest.mark.parametrize(
    ("imports", "statement"),
    [
        ("from worldflow import now, random, uuid4, sleep", "now(), random().choice([1]), uuid4()\nawait sleep('1s')"),
        ("import worldflow as w", "w.now(), w.random().random(), w.uuid4(), w.logger.info('x')"),
        ("from worldflow import logger", "logger.info('x')"),
        ("", "await asyncio.sleep(1)\nasyncio.get_running_loop().time()"),
        ("", "loop = asyncio.get_running_loop()\nloop.call_later(1, f)\nloop.create_task(f())"),
        ("", "async with asyncio.timeout(1), asyncio.TaskGroup() as group:\n    group.create_task(f())"),
        ("", "done, waiting = await asyncio.wait([f()])\nfor task in waiting:\n    task.cancel()"),
        ("from datetime import datetime, timedelta", "datetime(2026, 1, 1) + timedelta(days=1)"),
        ("from datetime import datetime", "datetime.fromisoformat('2026-01-01')"),
        ("import datetime", "datetime.datetime.fromtimestamp(0, datetime.UTC)"),
        ("import time", "time.strftime('%Y', time.gmtime(0)), time.ctime(0), time.strptime('1', '%d')"),
        ("import random", "random.Random(4).choice([1])"),
        ("import secrets", "secrets.compare_digest('a', 'b')"),
        ("import uuid", "uuid.UUID(int=1), uuid.uuid5(uuid.NAMESPACE_DNS, 'x')"),
        ("import os", "os.path.join('a', 'b'), os.path.basename('x'), os.sep, os.fspath('x')"),
        (
            "from pathlib import Path, PurePath",
            "Path('x').suffix, (Path('x') / 'y').name, PurePath('x').stem",
        ),
        ("import urllib.parse", "urllib.parse.quote('x')"),
        ("from http import HTTPStatus", "HTTPStatus(200)"),
        ("import requests", "try:\n    pass\nexcept requests.HTTPError as error:\n    raise error"),
        ("import botocore.exceptions", "raise botocore.exceptions.ClientError({}, 'x')"),
        ("import httpx", "client: httpx.AsyncClient | None = None"),
        ("import threading", "def f(lock: threading.Lock) -> threading.Thread: ..."),
        ("import logging", "log = logging.getLogger(__name__)\nlog.isEnabledFor(10)"),
        ("from sqlalchemy import select", "select(1)"),
        ("", "isinstance(x, asyncio.Task)"),
    ],
)
def test_what_gives_the_same_on_every_replay(found: Found, imports: str, statement: str):
    assert found(statement, imports) == []


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        ("from shop.clock import datetime", "datetime.now()"),
        ("from .time import time", "time()"),
        ("from . import random", "random.random()"),
        ("class datetime:\n    @staticmethod\n    def now(): ...", "datetime.now()"),
        ("def open(path): ...", "open('x')"),
        ("def id(x): ...", "id(3)"),
        ("print = None", "print('x')"),
        ("import time", "time = order()\ntime.time()"),
        ("import time", "for time in order:\n    time.sleep()"),
        ("import time", "[time.time() for time in order]"),
        ("import time", "f = lambda time: time.time()"),
        ("import time", "def f(time):\n    return time.time()\nf(order)"),
        ("import time", "async with shop() as time:\n    time.time()"),
        ("import time", "try:\n    f()\nexcept ValueError as time:\n    time.time()"),
        ("import time", "if (time := order()):\n    time.time()"),
        ("import time", "match order:\n    case [time, *_]:\n        time.time()"),
        ("import random", "class random:\n    pass\nrandom.choice([1])"),
        ("", "order.id, order.open(), order.input, order.hash()"),
        ("", "f(id=3, input=4, print=5)"),
    ],
)
def test_names_that_mean_something_else(found: Found, module: str, statement: str):
    assert found(statement, module) == []


def test_parameters_of_the_workflow(found: Found):
    assert found("return id, input, open('x'), hash", parameters="id, input='x', *open, hash=None") == []


def test_a_name_of_the_enclosing_function_that_is_set_inside(found: Found):
    assert found("hash = 1\ndef add():\n    nonlocal hash\n    hash = 2\nadd()\nreturn hash") == []


@pytest.mark.parametrize(
    "code",
    [
        "@step\nasync def work():\n    return time.time()",
        "@step(name='x', retry=None)\ndef work():\n    return time.time()",
        "@worldflow.step\ndef work():\n    return time.time()",
        "@once\ndef work():\n    return time.time()",
        "def _work():\n    return time.time()\n\nwork = step(_work)",
        "def _work():\n    return time.time()\n\nwork = step(name='x')(_work)",
    ],
)
def test_steps(found: Found, code: str):
    imports = "import time, worldflow\nfrom worldflow import step as once\n"
    assert found("return await work()", imports + code) == []
    assert found("await asyncio.gather(*map(work, [1]))", imports + code) == []


def test_a_step_and_a_workflow_inside_a_workflow(found: Found):
    body = """
        @step
        def work():
            return time.time()

        await work()
        """
    assert found(body, "import time") == []


def test_code_that_no_workflow_uses(found: Found):
    module = """
        import time

        BEGAN = time.time()

        def unused():
            return time.time()

        @decorated
        async def unused_too():
            unused()

        class Unused:
            at = time.time()
        """
    assert found("return 1", module) == []


@pytest.mark.parametrize("decorator", ["workflow.defn", "workflow", "flow", "temporalio.workflow"])
def test_workflows_of_somebody_else(decorator: str):
    source = f"import time\nfrom temporalio import workflow\n@{decorator}\nasync def f():\n    time.time()\n"
    assert check(source, "flows.py").findings == ()


def test_an_empty_module():
    assert check("", "flows.py").workflows == ()


def test_names_that_are_made_of_themselves(found: Found):
    (finding,) = found("x = x.y\nx = x | {'a'}\nn = 0\nn = n + 1\nfor y in {n, n}:\n    x.z(n)\nfor y in x:\n    pass")
    assert finding.what == "the order of x"
