"""A run that is tried again goes on from what it failed of, and keeps what came to it after that."""

import asyncio
from typing import Any

import pytest

from tests.support.crashes import CrashingWorld, serve
from tests.support.trouble import charge, kinds, ran, result, shaky
from worldflow import create_hook, on_update, sleep, wait_for_signal, workflow
from worldflow.runtime import sending, starting, updates, webhooks


@workflow
async def kept_kid() -> str:
    await sleep("1s")  # its result comes after the failure
    ran.append("kid")
    return "kid"


async def all_of(*calls: Any) -> list[Any]:
    """What the calls return, when all have come to an end."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for one in results:
        if isinstance(one, BaseException):
            raise one
    return results


@workflow
async def keeps_a_step() -> list[Any]:
    return await all_of(shaky(), charge())


@workflow
async def keeps_a_child() -> list[Any]:
    return await all_of(shaky(), kept_kid())


@workflow
async def keeps_a_hooks_value() -> list[Any]:
    return await all_of(shaky(), approval())


async def approval() -> Any:
    return await create_hook(token="approval")


@workflow
async def keeps_a_signal() -> list[Any]:
    return await all_of(shaky(), wait_for_signal("go"))


@workflow
async def keeps_an_update() -> str:
    @on_update("charge")
    async def on_charge() -> str:
        return await charge()

    try:
        done = await shaky()
        await wait_for_signal("end")
        return done
    except OSError:
        await wait_for_signal("give_up")
        raise


def tried_again(world: CrashingWorld, trouble: list[str]) -> None:
    assert world.read_run("r").status == "failed"
    trouble.clear()
    starting.retry(world, "r")
    serve(world)


@pytest.mark.parametrize(
    ("workflow", "returned", "runs_of_all"),
    [
        (keeps_a_step, ["shaky", "charge"], ["charge", "shaky", "shaky"]),
        (keeps_a_child, ["shaky", "kid"], ["kid", "shaky", "shaky"]),
    ],
)
def test_what_its_siblings_did_is_not_done_again(
    world: CrashingWorld, trouble: list[str], workflow: Any, returned: list[str], runs_of_all: list[str]
):
    starting.start(world, "r", workflow)
    serve(world)
    tried_again(world, trouble)
    assert result(world, "r~2") == returned
    assert sorted(ran) == runs_of_all


def test_a_hooks_value_that_came_meanwhile(world: CrashingWorld, trouble: list[str]):
    starting.start(world, "r", keeps_a_hooks_value)
    serve(world)
    webhooks.resume_hook(world, "approval", "yes")
    serve(world)
    tried_again(world, trouble)
    assert result(world, "r~2") == ["shaky", "yes"]


def test_a_signal_that_came_meanwhile(world: CrashingWorld, trouble: list[str]):
    starting.start(world, "r", keeps_a_signal)
    serve(world)
    sending.signal(world, "r", "go", "went")
    serve(world)
    tried_again(world, trouble)
    assert result(world, "r~2") == ["shaky", "went"]


def test_an_update_is_handled_again(world: CrashingWorld, trouble: list[str]):
    # What its handler decided came after the failure, so that the run knows nothing of it any more.
    starting.start(world, "r", keeps_an_update)
    serve(world)
    update = updates.send_update(world, "r", "charge", (), update_id="1")
    serve(world)
    reply = updates.look_for_answer(world, update)
    assert reply
    assert updates.answer(reply) == "charge"
    sending.signal(world, "r", "give_up")
    serve(world)
    tried_again(world, trouble)
    assert kinds(world, "r~2").count("Replied") == 1
    sending.signal(world, "r", "end")
    serve(world)
    assert result(world, "r~2") == "shaky"
    assert ran == ["shaky", "charge", "shaky", "charge"]
