"""What a run says of itself, and finding runs by it."""

from tests.support.scenarios import Env
from worldflow import set_attributes, set_status, sleep, workflow


async def test_by_attributes(env: Env) -> None:
    @workflow
    async def ordering(customer: str, total: int) -> None:
        set_attributes(customer=customer, total=total, draft=True)
        await sleep("1h")
        set_attributes(draft=None)

    for number, customer in enumerate(["ada", "grace", "ada"]):
        await env.start_as(f"order-{number}", ordering, customer, number)

    found = env.world.list_runs(attributes={"customer": "ada"})
    assert {record.run_id for record in found.runs} == {"order-0", "order-2"}
    found = env.world.list_runs(attributes={"customer": "ada", "total": 2})
    assert [record.run_id for record in found.runs] == ["order-2"]
    await env.advance("2h")
    assert env.world.read_run("order-0").attributes == {"customer": "ada", "total": 0}
    assert not env.world.list_runs(attributes={"draft": True}).runs


async def test_its_status_in_words(env: Env) -> None:
    @workflow
    async def packing() -> None:
        set_status("packing")
        await sleep("1h")
        set_status("on its way")
        await sleep("1h")

    run = await env.start(packing)
    texts = [env.world.read_run(run.id).status_text]
    await env.advance("90m")
    texts.append(env.world.read_run(run.id).status_text)

    assert texts == ["packing", "on its way"]
