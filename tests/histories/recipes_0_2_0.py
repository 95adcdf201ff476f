"""Recipes for what release 0.2.0 knows that 0.1.0 did not; see `recipes.py`."""

from typing import Any

from tests.histories import workflows_0_2_0 as flows
from tests.histories.recipes import RECIPES, cancelled, recipe, send, started, to_the_end
from tests.support.systems import LocalSystem, start
from worldflow.engine.history import HookCreated
from worldflow.engine.history.state import RunState
from worldflow.runtime import sending, starting, updates, webhooks

RECIPES["tells_of_itself"] = started(flows.tells_of_itself, customer="c1")
RECIPES["family"] = started(flows.family)
RECIPES["changes"] = started(flows.changes)
RECIPES["versions"] = started(flows.versions)
RECIPES["options_of_steps"] = started(flows.options_of_steps)
RECIPES["all_inline"] = started(flows.all_inline, count=3)
RECIPES["cancelled_with_its_child"] = cancelled(flows.of_a_cancelled_child)


def resume(system: LocalSystem, token: str, value: Any) -> None:
    webhooks.resume_hook(system.world, token, value)
    system.settle()


def hook(system: LocalSystem, run_id: str, hook_id: str) -> HookCreated:
    return RunState(system.world.load_history(run_id)).hooks[hook_id]


@recipe
def collects(system: LocalSystem, run_id: str) -> None:
    start(system, run_id, flows.collects, token="orders")
    resume(system, "orders", {"message": "one"})
    resume(system, "orders", {"message": "two", "done": True})
    resume(system, hook(system, run_id, "h2").token, ["last"])


@recipe
def token_is_taken(system: LocalSystem, run_id: str) -> None:
    start(system, "holder", flows.wants_a_token, token="mine")
    start(system, run_id, flows.wants_a_token, token="mine")


@recipe
def answers_requests(system: LocalSystem, run_id: str) -> None:
    start(system, run_id, flows.answers_requests, count=2)
    for hook_id, method in (("h1", "POST"), ("h1", "PUT"), ("h2", "GET")):
        token = hook(system, run_id, hook_id).token
        body = f"{method} \u20ac".encode()
        webhooks.receive(system.world, token, method=method, body=body, sleep=lambda _: system.settle())
    system.settle()


@recipe
def takes_updates(system: LocalSystem, run_id: str) -> None:
    start(system, run_id, flows.takes_updates)
    update(system, run_id, "add", "early")
    send(system, run_id, "ready")
    update(system, run_id, "add", "b", 2)
    update(system, run_id, "remove", "early")
    update(system, run_id, "remove", "not there")
    update(system, run_id, "add", "too", "many", "arguments")
    update(system, run_id, "unknown")
    send(system, run_id, "done")


def update(system: LocalSystem, run_id: str, name: str, *args: Any) -> None:
    updates.send_update(system.world, run_id, name, args, update_id=None)
    system.settle()


@recipe
def of_a_cancelled_child(system: LocalSystem, run_id: str) -> None:
    start(system, run_id, flows.of_a_cancelled_child)
    sending.cancel(system.world, f"{run_id}~c1")
    system.settle()


@recipe
def parent_in_a_group(system: LocalSystem, run_id: str) -> str:
    """The history of a child."""
    start(system, run_id, flows.family)
    to_the_end(system)
    return f"{run_id}~c2"


def continued(system: LocalSystem, run_id: str) -> None:
    start(system, run_id, flows.generations, number=1)
    sending.signal(system.world, run_id, "other", "unread")
    sending.signal(system.world, run_id, "next", "a")
    sending.signal(system.world, run_id, "next", "b")
    system.settle()


@recipe
def first_generation(system: LocalSystem, run_id: str) -> None:
    continued(system, run_id)


@recipe
def second_generation(system: LocalSystem, run_id: str) -> str:
    continued(system, run_id)
    return f"{run_id}~2"


@recipe
def terminated(system: LocalSystem, run_id: str) -> None:
    start(system, run_id, flows.of_a_cancelled_child)
    sending.terminate(system.world, run_id, "at once")
    system.settle()


@recipe
def waits(system: LocalSystem, run_id: str) -> None:
    start(system, run_id, flows.waits)
    for value in (3, 2, 0):
        send(system, run_id, "item", value)
    to_the_end(system)


@recipe
def retried(system: LocalSystem, run_id: str) -> str:
    start(system, run_id, flows.fails_first, name=run_id)
    to_the_end(system)
    starting.retry(system.world, run_id)
    system.settle()
    return f"{run_id}~2"


@recipe
def forked(system: LocalSystem, run_id: str) -> str:
    start(system, run_id, flows.fails_first, name="another")
    starting.fork(system.world, run_id, f"{run_id}-from-3", after=3)
    system.settle()
    return f"{run_id}-from-3"
