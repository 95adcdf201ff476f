import functools
import types
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from worldflow import ConfigurationError, Entity, InvalidInputError, OutsideError, entity, step, step_info, workflow
from worldflow.engine.workflow import definitions
from worldflow.testing import step_context


def test_a_number_of_retries_is_no_policy():
    with pytest.raises(ConfigurationError, match=r"takes a RetryPolicy\(max_attempts=...\), not 3"):
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

    with pytest.raises(ConfigurationError, match="is not a valid name"):
        workflow(name=name)(shop)
    with pytest.raises(ConfigurationError, match="is not a valid name"):
        step(name=name)(shop)


def test_a_step_over_a_workflow_and_the_reverse():
    @workflow
    async def order() -> None: ...

    @step
    async def charge() -> None: ...

    with pytest.raises(ConfigurationError, match=r"^@step on <workflow order>: it is already a workflow and cannot"):
        step(order)
    with pytest.raises(ConfigurationError, match=r"^@workflow on <step charge>: it is already a step and cannot"):
        workflow(charge)
    with pytest.raises(ConfigurationError, match=r"it is already a step\. Remove one of the decorators"):
        step(name="charge2")(charge)
    with pytest.raises(ConfigurationError, match=r"it is already a workflow\. Remove one of the decorators"):
        workflow(version=2)(order)


async def async_items() -> AsyncIterator[int]:
    yield 1


def items() -> Iterator[int]:
    yield 1


class Items:
    def __call__(self) -> Iterator[int]:
        yield 1


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (items, "a generator"),
        (async_items, "an async generator"),
        (functools.partial(items), "a generator"),
        (Items(), "a generator"),
        (Items().__call__, "a generator"),
    ],
    ids=["generator", "async generator", "partial", "callable", "method"],
)
def test_a_function_with_a_yield(function: Any, what: str):
    with pytest.raises(ConfigurationError, match=f"contains `yield`, which makes it {what} without a result: return a"):
        step(name="items")(function)
    with pytest.raises(ConfigurationError, match=f"contains `yield`, which makes it {what} without a result: await"):
        workflow(name="items")(function)


# --- names that are taken ---


def module_of(name: str, source: str, filename: str = "shop.py") -> types.ModuleType:
    module = types.ModuleType(name)
    exec(compile(source, filename, "exec"), module.__dict__)
    return module


WORKFLOW = "from worldflow import workflow\n@workflow\nasync def taken() -> None: ...\n"
STEP = "from worldflow import step\n@step\nasync def taken() -> None: ...\n"
ENTITY = "from worldflow import Entity, entity\n@entity\nclass taken(Entity): ...\n"


@pytest.fixture(autouse=True)
def _nothing_is_taken() -> Iterator[None]:
    yield
    for name in ("shop", "store", "__main__"):
        definitions.forget(name)


@pytest.mark.parametrize(("kind", "source"), [("workflow", WORKFLOW), ("step", STEP), ("workflow", ENTITY)])
def test_a_name_that_another_module_has(kind: str, source: str):
    module_of("shop", source)
    problem = f"two {kind}s are named '(entity:)?taken': shop.taken and store.taken. Rename one of them: @{kind}"
    with pytest.raises(ConfigurationError, match=problem):
        module_of("store", source, "store.py")


@pytest.mark.parametrize("source", [WORKFLOW, STEP])
def test_a_file_that_is_imported_as_two_modules(source: str):
    module_of("shop", source)
    with pytest.raises(ConfigurationError, match=r"shop.taken and __main__.taken. They are the same (step|workflow),"):
        module_of("__main__", source)


def test_a_module_that_is_loaded_again():
    module_of("shop", WORKFLOW)
    module_of("shop", WORKFLOW)


def test_a_module_that_comes_after_a_tests_own():
    @workflow
    async def taken() -> None: ...

    module_of("shop", WORKFLOW)
    assert definitions.find_workflow("taken").function.__module__ == "shop"


async def test_an_entity_whose_names_are_taken():
    class HasLock(Entity):
        async def lock(self) -> None: ...

    class HasKey(Entity):
        key: str = ""  # type: ignore[assignment]

    class HasBoth(Entity):
        paid: bool = False

        async def paid(self) -> None: ...  # type: ignore[no-redef]  # noqa: F811

    for cls, problem in (
        (HasLock, r"every entity has a 'lock'; choose another name for HasLock\.lock"),
        (HasKey, r"every entity has a 'key'; choose another name for HasKey\.key"),
        (HasBoth, r"HasBoth\.paid is both an operation and a part of the state"),
    ):
        with pytest.raises(ConfigurationError, match=problem):
            entity(cls)


@pytest.mark.parametrize("key", ["", 5, None])
def test_a_key_that_is_none(key: Any):
    @entity
    class HasKeys(Entity): ...

    with pytest.raises(InvalidInputError, match="is not a valid key of HasKeys"):
        HasKeys(key)
