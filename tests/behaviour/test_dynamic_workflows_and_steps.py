"""A dynamic workflow and a dynamic step take the names that no other has, and no run that began with other code."""

import asyncio
from typing import Any

import pytest

from tests.support.scenarios import Env
from worldflow import (
    BenignError,
    StepNotFoundError,
    continue_as_new,
    sleep,
    step,
    step_info,
    wait_for_signal,
    workflow,
    workflow_info,
)
from worldflow.engine.workflow import definitions
from worldflow.engine.workflow.registry import import_failures
from worldflow.runtime import sending
from worldflow.runtime.compatibility import Verdict, verdicts


def undeploy(name: str) -> None:
    definitions._workflows._versions.pop(name)


def replayed(env: Env, run_id: str) -> list[Verdict]:
    return list(verdicts(env.world, [env.world.read_run(run_id)]))


def define_anything() -> None:
    @step(dynamic=True)
    async def anything(arguments: dict[str, Any]) -> Any:
        info = step_info()
        if arguments.get("fails") == info.attempt:
            raise BenignError("not yet")
        return f"{info.name}({arguments})"

    @workflow(dynamic=True)
    async def any_workflow(arguments: dict[str, Any]) -> list[str]:
        name = workflow_info().workflow_name
        first = await anything.named("mumble")({"of": name, "fails": 1})
        if child := arguments.get("child"):
            return [first, *await any_workflow.named(child)({})]
        if (left := arguments.get("left", 0)) > 0:
            continue_as_new({"left": left - 1})
        return [first, await wait_for_signal("last", str)]


async def test_it_runs_what_no_other_workflow_has_the_name_of(env: Env) -> None:
    define_anything()

    await env.drive(env.orchestrator.start_workflow("r", "nobodys_script", {"child": "nobodys_child"}))
    await env.advance("1m")  # the step is tried again
    await env.restart()
    await env.handle("r~c1").signal("last", "done")

    assert await env.handle("r").result() == [
        "mumble({'of': 'nobodys_script', 'fails': 1})",
        "mumble({'of': 'nobodys_child', 'fails': 1})",
        "done",
    ]
    records = [await env.handle(id).record() for id in ("r", "r~c1")]
    assert [(record.workflow_name, record.version, record.input) for record in records] == [
        ("nobodys_script", 0, {"child": "nobodys_child"}),
        ("nobodys_child", 0, {}),
    ]


async def test_what_has_the_name_is_called_by_it(env: Env) -> None:
    define_anything()

    @step
    async def charge(amount: int) -> int:
        return amount * 2

    @workflow
    async def nobodys_child(amount: int) -> Any:
        call: Any = definitions.find_step("nobodys")
        return await call.named("charge")({"amount": amount})

    run: Any = definitions.find_workflow("nobodys")
    outer = await env.start(run.named("nobodys_child"), {"amount": 2})

    assert await outer.result() == 4
    assert (await outer.record()).version == 1


async def test_so_is_a_child(env: Env) -> None:
    define_anything()

    @workflow
    async def nobodys_leaf() -> list[str]:
        return ["leaf"]

    await env.drive(env.orchestrator.start_workflow("r", "nobodys_script", {"child": "nobodys_leaf"}))
    await env.advance("1m")
    assert (await env.handle("r").result())[1:] == ["leaf"]


async def test_the_next_generation_has_the_arguments(env: Env) -> None:
    define_anything()
    await env.drive(env.orchestrator.start_workflow("r", "nobodys_loop", {"left": 1}))
    await env.advance("1m")
    await env.handle("r").signal("last", "end")

    assert await env.handle("r").result() == ["mumble({'of': 'nobodys_loop', 'fails': 1})", "end"]
    assert (await env.handle("r~2").record()).input == {"left": 0}


async def test_a_run_keeps_the_code_that_it_began_with(env: Env) -> None:
    @workflow
    async def named() -> str:
        await sleep("1h")
        return "named"

    run = await env.start(named)
    define_anything()
    await env.drive(env.orchestrator.start_workflow("d", "nobodys_later", {}))
    await env.advance("1m")
    kept = definitions._workflows._versions["named"]
    undeploy("named")

    @workflow
    async def later() -> str:
        raise AssertionError("it began with the dynamic one")

    await env.restart()
    await env.handle("d").signal("last", "dynamic")
    await env.advance("1h")

    assert (await env.handle("d").result())[1:] == ["dynamic"]
    record = env.world.read_run(run.id)
    assert (record.status, "'named'" in (record.blocked_reason or "")) == ("blocked", True)
    (verdict,) = await asyncio.to_thread(replayed, env, run.id)
    assert verdict.problem and "there is no workflow 'named'" in verdict.problem
    definitions._workflows._versions["named"] = kept
    await env.drive(asyncio.to_thread(sending.resume, env.world, run.id))
    assert await run.result() == "named"


async def test_it_takes_no_name_while_a_module_has_not_imported(env: Env) -> None:
    @step
    async def ghost() -> None: ...

    @workflow
    async def calls_a_ghost() -> str:
        try:
            await ghost()
        except StepNotFoundError as error:
            return str(error)
        return "executed"

    define_anything()
    await env.drive(env.orchestrator.start_workflow("began", "nobodys", {}))
    await env.advance("1m")
    definitions._steps._versions.pop("ghost")
    import_failures["shop"] = "SyntaxError: invalid syntax"

    await env.drive(env.orchestrator.start_workflow("held", "nobodys_shop", {}))
    record = env.world.read_run("held")
    assert (record.status, "shop (SyntaxError" in (record.blocked_reason or "")) == ("blocked", True)
    assert "shop (SyntaxError" in await env.run(calls_a_ghost)
    await env.handle("began").signal("last", "goes on")
    assert (await env.handle("began").result())[1:] == ["goes on"]

    import_failures.clear()
    await env.drive(asyncio.to_thread(sending.resume, env.world, "held"))
    await env.advance("1m")
    await env.restart()  # what it began with stands beside its start
    await env.handle("held").signal("last", "imported")
    assert (await env.handle("held").result())[1:] == ["imported"]
    history = await env.handle("held").events()
    assert [event.payload["version"] for event in history if event.event_type == "Applied"] == [0]
    assert [one.problem for one in await asyncio.to_thread(replayed, env, "held")] == [None]


async def test_an_unknown_entity_stays_unknown(env: Env) -> None:
    define_anything()
    await env.drive(env.orchestrator.start_workflow("account", workflow_name="entity:Nobody"))
    assert env.world.read_run("account").status == "blocked"


async def test_an_input_that_does_not_fit_its_one_parameter_is_refused(env: Env) -> None:
    @workflow(dynamic=True)
    async def numbers(arguments: dict[str, int]) -> int:
        return sum(arguments.values())

    with pytest.raises(Exception, match=r"the input does not fit numbers\(arguments: dict\[str, int\]\)") as refused:
        await env.orchestrator.start_workflow("r", "nobodys_sums", {"a": "x"})
    assert [field.field for field in refused.value.fields] == ["a"]  # type: ignore[attr-defined]
    await env.drive(env.orchestrator.start_workflow("r", "nobodys_sums", {"a": 1, "arguments": 2}))
    assert await env.handle("r").result() == 3
