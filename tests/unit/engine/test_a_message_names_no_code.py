"""What comes from outside is data: a history or a message that names code has none of it imported, made or called."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import ImportString, ValidationError

from tests.support.driver import Drive
from tests.support.steps import work
from worldflow import ConfigurationError, StepError, workflow
from worldflow.engine.history import Failure, StepFailed
from worldflow.engine.history.failures import decode_exception
from worldflow.engine.values.serialization import Codec

LAYER = Path(__file__).parents[3] / "layers/worldflow/worldflow"
FUNCTIONS = Path(__file__).parents[3] / "functions"

happened: list[str] = []


class Busy(Exception):
    """Does something wherever a class can."""

    marker = "class"

    def __new__(cls, *args: object) -> Busy:
        happened.append("new")
        return super().__new__(cls, *args)

    def __init__(self, *args: object) -> None:
        happened.append("init")
        super().__init__(*args)

    def __setattr__(self, name: str, value: object) -> None:
        happened.append(f"set {name}")
        super().__setattr__(name, value)

    @property
    def price(self) -> int:
        return 1

    @price.setter
    def price(self, value: int) -> None:
        happened.append("price")


class Lazy(ModuleType):
    def __getattr__(self, name: str) -> Any:
        happened.append(f"module {name}")
        return type(name, (Exception,), {"__module__": self.__name__})


@pytest.fixture(autouse=True)
def _nothing_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    happened.clear()
    monkeypatch.setitem(sys.modules, "lazy_exceptions", Lazy("lazy_exceptions"))


@workflow
async def names_what_it_caught() -> str:
    try:
        await work()
    except Exception as error:
        return type(error).__name__
    return ""


@pytest.mark.parametrize(
    "name",
    [
        "os:system",
        "os:error",  # another name of OSError
        "subprocess:Popen",
        "subprocess:subprocess.CalledProcessError",
        "builtins:eval",
        "builtins:object",
        "builtins:type",
        "builtins:Exception.__subclasses__",
        "builtins:KeyError.__class__",
        "lazy_exceptions:AnythingError",
        f"{__name__}:sys.modules",
        f"{__name__}:pytest.UsageError",  # by way of a module that another has imported
        "worldflow.engine.history.failures:StepError",
        "antigravity:x",
        "this:d",
        "smtpd:x",
        ":",
        "",
    ],
)
def test_a_name_that_is_no_loaded_exceptions_own_is_a_step_error(name: str) -> None:
    before = set(sys.modules)
    error = decode_exception(Failure(type=name, message="x", args=["touch /tmp/x"], state={"returncode": 1}))

    assert type(error) is StepError
    assert (error.type_name, set(sys.modules) - before, happened) == (name, set(), [])


def test_none_of_its_own_code_makes_an_exception() -> None:
    state = {"price": 2, "card": "4242", "args": ["other"], "__traceback__": 1, "with_traceback": 1, "__class__": "x"}
    error = decode_exception(Failure(type=f"{__name__}:Busy", message="a", args=["a"], state=state))

    assert type(error) is Busy
    assert (error.args, vars(error), error.price) == (("a",), {"price": 2, "card": "4242"}, 1)
    assert happened == []


@pytest.mark.parametrize(
    "name",
    [
        "builtins:SystemExit",
        "builtins:KeyboardInterrupt",
        "builtins:GeneratorExit",
        "builtins:StopIteration",
        "asyncio.exceptions:CancelledError",
        "worldflow.engine.errors:ContinueAsNew",
    ],
)
def test_what_the_engine_or_python_lives_by_is_not_raised_in_a_workflow(drive: Drive, name: str) -> None:
    failure = Failure(type=name, message="x", args=["x"], state={"arguments": {"text": "mine"}})
    assert type(decode_exception(failure)) is StepError
    group = Failure(type="builtins:BaseExceptionGroup", message="g", args=["g"], members=[failure])
    (member,) = decode_exception(group).exceptions  # type: ignore[attr-defined]
    assert type(member) is StepError

    run = drive(names_what_it_caught)
    run.feed(StepFailed(step_id="s1", error=failure, retryable=False))
    assert run.result() == "StepError"


@pytest.mark.parametrize("part", ['"cause": %s', '"members": [%s]'])
def test_failures_within_failures_have_an_end(part: str) -> None:
    """JSON of more than 200 levels is not read, and what is read can be rebuilt."""

    def nested(depth: int) -> str:
        text = '{"type": "builtins:ValueError", "args": ["x"]}'
        for _ in range(depth):
            text = '{"type": "builtins:ExceptionGroup", "args": ["g"], %s}' % (part % text)
        return text

    deepest = next(depth for depth in range(200, 0, -1) if _is_read(nested(depth)))
    assert deepest > 50
    decode_exception(Failure.model_validate_json(nested(deepest)))


def _is_read(text: str) -> bool:
    try:
        Failure.model_validate_json(text)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("annotation", [ImportString, list[ImportString[Any]], dict[str, ImportString[Any] | None]])
def test_a_type_that_imports_what_it_is_given_is_refused(annotation: Any) -> None:
    with pytest.raises(ConfigurationError, match="imports any object that a message names"):
        Codec(annotation, "value")


MAY_IMPORT = {
    "turns/loading.py",
    "worlds/codec.py",
    "cli/checking.py",
    "cli/reloading.py",
    "runtime/__init__.py",
    "engine/workflow/registry.py",
    "serving/trigger_handler.py",
}
"""Modules that the environment, or whoever types a command, names; `runtime` and the registries of workflows and steps
import those of their own tables.
"""

DANGEROUS = {"pickle", "marshal", "shelve", "yaml", "dill", "cloudpickle", "jsonpickle"}


def test_no_code_of_ours_makes_code_of_data() -> None:
    found = set()
    for folder in (LAYER, FUNCTIONS):
        for path in folder.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                for name in _used(node):
                    found.add((path.relative_to(folder).as_posix(), name))

    assert {use for use in found if use[1] != "importlib"} == set()
    deployed = {path for path, _ in found if not path.startswith("devtools/")}
    assert deployed <= MAY_IMPORT


def _used(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [name for alias in names if (name := alias.name.partition(".")[0]) in {*DANGEROUS, "importlib"}]
        case (
            ast.ImportFrom(module="importlib.resources")
            | ast.ImportFrom(module="importlib", names=[ast.alias(name="metadata")])
        ):
            return []  # reads files, and imports nothing
        case ast.ImportFrom(module=str(module)):
            return [name for name in [module.partition(".")[0]] if name in {*DANGEROUS, "importlib"}]
        case ast.Call(func=ast.Name(id="eval" | "exec" | "compile" | "__import__" as name)):
            return [name]
    return []
