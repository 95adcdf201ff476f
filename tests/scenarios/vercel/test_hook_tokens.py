"""One live run holds a token at a time; it is free again when the hook is disposed of or its run ends."""

import pytest

from tests.support.scenarios import Env
from worldflow import HookConflictError, HookNotFoundError, create_hook, sleep, step, workflow


@workflow(name="vercel.one_value")
async def one_value(token: str) -> str:
    with create_hook(str, token=token) as hook:
        return await hook


async def test_a_token_is_free_when_its_run_has_ended(env: Env) -> None:
    for message in ("first", "second"):
        run = await env.start(one_value, "again")
        assert (await env.orchestrator.get_hook("again")).run_id == run.id
        await env.resume_hook("again", message)
        assert await run.result() == message
        with pytest.raises(HookNotFoundError):
            await env.resume_hook("again", "too late")


async def test_two_runs_cannot_have_one_token(env: Env) -> None:
    first = await env.start(one_value, "shared")
    second = await env.start(one_value, "shared")

    failure = await second.failure()
    assert isinstance(failure, HookConflictError)
    assert "shared" in str(failure)
    await env.resume_hook("shared", "for the first")
    assert await first.result() == "for the first"


async def test_a_conflict_can_be_caught(env: Env) -> None:
    @step
    async def decide(token: str) -> str:
        return f"{token}-2"

    @workflow
    async def tries_another(token: str) -> str:
        try:
            return await create_hook(str, token=token)
        except HookConflictError as error:
            return await create_hook(str, token=await decide(error.token))

    await env.start(one_value, "taken")
    run = await env.start(tries_another, "taken")
    await env.resume_hook("taken-2", "other")

    assert await run.result() == "other"


async def test_a_hook_is_disposed_of_while_its_run_goes_on(env: Env) -> None:
    @workflow
    async def disposes(token: str) -> str:
        with create_hook(str, token=token) as hook:
            message = await hook
        await sleep("5s")
        return message

    first = await env.start(disposes, "passed-on")
    await env.resume_hook("passed-on", "first")
    with pytest.raises(HookNotFoundError):
        await env.orchestrator.get_hook("passed-on")
    second = await env.start(disposes, "passed-on")
    assert (await env.orchestrator.get_hook("passed-on")).run_id == second.id
    await env.resume_hook("passed-on", "second")

    assert await first.result() == "first"
    assert await second.result() == "second"


async def test_a_run_uses_its_own_token_again(env: Env) -> None:
    @workflow
    async def again_and_again() -> list[str]:
        seen = []
        for _ in range(3):
            with create_hook(str, token="mine") as hook:
                seen.append(await hook)
        return seen

    run = await env.start(again_and_again)
    for message in "abc":
        await env.resume_hook("mine", message)

    assert await run.result() == ["a", "b", "c"]


async def test_disposing_twice_is_harmless(env: Env) -> None:
    @workflow
    async def disposes_twice() -> str:
        hook = create_hook(token="twice")
        hook.dispose()
        hook.dispose()
        await sleep("1s")
        return "done"

    run = await env.start(disposes_twice)
    assert await run.result() == "done"
    with pytest.raises(HookNotFoundError):
        await env.orchestrator.get_hook("twice")


@pytest.mark.parametrize("end", ["cancelled", "failed"])
async def test_a_token_is_free_however_its_run_ended(env: Env, end: str) -> None:
    @workflow
    async def ends_badly() -> None:
        create_hook(token="freed")
        await sleep("1h")
        raise ValueError

    run = await env.start(ends_badly)
    if end == "cancelled":
        await run.cancel()
    else:
        await run.failure()

    assert await run.status() == end
    later = await env.start(one_value, "freed")
    await env.resume_hook("freed", "later")
    assert await later.result() == "later"


async def test_the_loser_of_a_token_may_go_on_without_it(env: Env) -> None:
    """A conflict is only raised where somebody awaits the hook."""

    @workflow
    async def does_not_need_it() -> str:
        create_hook(token="wanted")
        await sleep("1m")
        return "done"

    holder = await env.start(one_value, "wanted")
    assert await (await env.start(does_not_need_it)).result() == "done"
    await env.resume_hook("wanted", "still mine")
    assert await holder.result() == "still mine"
