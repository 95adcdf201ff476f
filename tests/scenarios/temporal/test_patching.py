"""Code that changes under runs: those that passed a place before the change go on as they were."""

from tests.support.scenarios import Env
from worldflow import deprecate_patch, patched, sleep, step, workflow


async def test_old_runs_go_the_old_way_and_new_ones_the_new(env: Env) -> None:
    @step
    async def old() -> str:
        return "old"

    @step
    async def new() -> str:
        return "new"

    deployed = ["before"]

    @workflow
    async def changing() -> list[str]:
        if deployed[-1] == "before":
            done = [await old()]
        elif deployed[-1] == "patched":
            done = [await (new() if patched("new-step") else old())]
        else:
            deprecate_patch("new-step")
            done = [await new()]
        await sleep("1h")
        return done

    first = await env.start(changing)
    deployed.append("patched")
    await env.restart()
    second = await env.start(changing)
    assert await first.result() == ["old"]
    deployed.append("deprecated")
    await env.restart()
    third = await env.start(changing)

    assert await second.result() == ["new"]
    assert await third.result() == ["new"]
    assert await third.status() == "completed"


async def test_a_run_that_has_not_come_there_yet_goes_the_new_way(env: Env) -> None:
    deployed: list[str] = []

    @step
    async def which(name: str) -> str:
        return name

    @workflow
    async def changing() -> str:
        await sleep("1h")
        if deployed and patched("which"):
            return await which("new")
        return await which("old")

    run = await env.start(changing)
    deployed.append("patched")
    await env.restart()

    assert await run.result() == "new"


async def test_it_is_the_same_answer_all_the_way(env: Env) -> None:
    @workflow
    async def asking() -> list[bool]:
        answers = [patched("p")]
        await sleep("1h")
        answers.append(patched("p"))
        return answers

    run = await env.start(asking)
    await env.restart()

    assert await run.result() == [True, True]
