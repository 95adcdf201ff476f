"""Updates that a validator may refuse, that are awaited apart from their answers, and that start their run."""

import pytest

from tests.support.scenarios import Env
from worldflow import InvalidInputError, RunEndedError, now, on_update, sleep, step, wait_for_signal, workflow
from worldflow.engine.history import Replied, UpdateReceived
from worldflow.runtime import updates


class Overdrawn(Exception):
    pass


@step
async def book_entry(amount: int) -> int:
    return amount


@workflow
async def validated_account(balance: int = 10) -> int:
    def check(amount: int) -> None:
        if amount < 0:
            raise ValueError(f"no negative amounts: {now()}")
        if amount > balance:
            raise Overdrawn(f"only {balance} left")

    @on_update("withdraw", validator=check)
    async def withdraw(amount: int) -> int:
        nonlocal balance
        balance -= await book_entry(amount)
        return balance

    await wait_for_signal("close")
    return balance


async def test_what_a_validator_refuses_leaves_no_trace_in_the_history(env: Env) -> None:
    run = await env.start(validated_account)
    before = len(await run.events())

    with pytest.raises(Overdrawn, match="only 10 left"):
        await env.drive(env.orchestrator.update(run.id, "withdraw", 11))
    with pytest.raises(InvalidInputError, match="amount"):
        await env.drive(env.orchestrator.update(run.id, "withdraw", "much"))
    assert len(await run.events()) == before

    assert await env.drive(env.orchestrator.update(run.id, "withdraw", 4)) == 6
    with pytest.raises(Overdrawn, match="only 6 left"):
        await env.drive(env.orchestrator.update(run.id, "withdraw", 7))
    await env.restart()
    await run.signal("close")
    assert await run.result() == 6
    assert len(await run.found(UpdateReceived)) == len(await run.found(Replied)) == 1


async def test_a_refusal_is_final(env: Env) -> None:
    run = await env.start(validated_account, 1)
    for _ in range(2):
        with pytest.raises(Overdrawn, match="only 1 left"):
            await env.drive(env.orchestrator.update(run.id, "withdraw", 2, update_id="u"))
    await run.signal("close")
    with pytest.raises(Overdrawn, match="only 1 left"):
        await env.drive(env.orchestrator.update(run.id, "withdraw", 2, update_id="u"))


async def test_a_validator_sees_nothing_of_worldflow(env: Env) -> None:
    run = await env.start(validated_account)
    with pytest.raises(Exception, match=r"now\(\) only works inside a workflow"):
        await env.drive(env.orchestrator.update(run.id, "withdraw", -1))


async def test_what_came_before_its_handler_is_refused_by_it(env: Env) -> None:
    @workflow
    async def validates_late() -> None:
        await sleep("1h")

        def check(word: str) -> None:
            if word != "please":
                raise ValueError("the word?")

        @on_update("late", validator=check)
        def late(word: str) -> str:
            return word

        await wait_for_signal("end")

    run = await env.start(validates_late)
    await env.drive(env.orchestrator.run(run.id).start_update("late", "now", update_id="u"))
    await env.advance("1h")
    with pytest.raises(ValueError, match="the word"):
        await env.drive(env.orchestrator.update(run.id, "late", "now", update_id="u"))
    await env.restart()
    assert await env.drive(env.orchestrator.update(run.id, "late", "please")) == "please"
    assert len(await run.found(Replied)) == 2


async def test_an_update_is_accepted_and_answered_later(env: Env) -> None:
    @workflow
    async def answers_later() -> None:
        @on_update("brew")
        async def brew(cups: int) -> str:
            await sleep("1h")
            return f"{cups} cups"

        await wait_for_signal("end")

    run = await env.start(answers_later)
    handle = await env.drive(env.orchestrator.run(run.id).start_update("brew", 2, type=str, update_id="b"))
    assert handle.id == "b"
    with pytest.raises(TimeoutError):
        await handle.result("10ms")
    await env.advance("2h")
    assert await handle.result() == await handle.result() == "2 cups"
    assert await env.orchestrator.run(run.id).update_handle("b", str).result() == "2 cups"


async def test_the_refusal_comes_when_it_is_sent(env: Env) -> None:
    run = await env.start(validated_account)
    with pytest.raises(Overdrawn):
        await env.drive(env.orchestrator.run(run.id).start_update("withdraw", 11))


@workflow
async def started_cart(customer: str) -> list[str]:
    items: list[str] = []

    @on_update("put")
    def put(item: str) -> list[str]:
        items.append(item)
        return [customer, *items]

    await wait_for_signal("close")
    return items


async def test_an_update_starts_its_run(env: Env) -> None:
    def put(item: str, update_id: str | None = None):  # type: ignore[no-untyped-def]
        ada = {"customer": "Ada"}
        return env.drive(
            env.orchestrator.update_with_start(
                "cart", started_cart, ada, update="put", args=[item], type=list[str], update_id=update_id
            )
        )

    assert await put("tea", "t") == ["Ada", "tea"]
    assert await put("milk") == ["Ada", "tea", "milk"]
    assert await put("tea", "t") == ["Ada", "tea"]
    await env.handle("cart").signal("close")
    assert await put("tea", "t") == ["Ada", "tea"]  # of the run that has ended
    assert await env.handle("cart").status() == "completed"
    assert await put("pear") == ["Ada", "pear"]
    assert (await env.handle("cart").record()).run_id == "cart~2"


async def test_the_handle_of_an_update_finds_the_run_that_was_started_for_it(env: Env) -> None:
    for customer in ("Ada", "Bob"):
        put = env.orchestrator.update_with_start(
            "handled", started_cart, {"customer": customer}, update="put", args=["tea"], update_id=customer
        )
        assert await env.drive(put) == [customer, "tea"]
        await env.handle("handled").signal("close")
    for customer in ("Ada", "Bob"):
        assert await env.drive(env.handle("handled").update_handle(customer).result()) == [customer, "tea"]
    with pytest.raises(RunEndedError):
        await env.drive(env.handle("handled").update_handle("Eve").result())


async def test_an_update_that_comes_when_its_run_has_just_ended_starts_another(env: Env) -> None:
    run = await env.start_as("closing", started_cart, "Bob")
    await env.orchestrator.signal(run.id, "close")
    sent = updates.update_with_start(env.world, "closing", started_cart, {"customer": "Bob"}, name="put", args=["late"])
    await env.settle()
    reply = updates.look_for_answer(env.world, sent)
    assert reply is not None and updates.answer(reply) == ["Bob", "late"]
    assert (await run.record()).run_id == "closing~2"
