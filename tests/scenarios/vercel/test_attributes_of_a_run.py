"""What a workflow says of itself while it runs, and finding runs by it."""

from tests.support.scenarios import Env
from worldflow import set_attributes, set_status, sleep, workflow


async def test_attributes_are_set_and_taken_away(env: Env) -> None:
    @workflow
    async def tells(customer: str) -> None:
        set_attributes(customer=customer, total=3, paid=False, draft=True)
        set_status("packing 1 of 2")
        await sleep("1h")
        set_attributes(paid=True, draft=None)
        set_status("packing 2 of 2")
        await sleep("1h")

    run = await env.start(tells, "c1")
    record = env.world.read_run(run.id)
    assert record.attributes == {"customer": "c1", "total": 3, "paid": False, "draft": True}
    assert record.status_text == "packing 1 of 2"

    await env.advance("61m")
    record = env.world.read_run(run.id)
    assert record.attributes == {"customer": "c1", "total": 3, "paid": True}
    assert record.status_text == "packing 2 of 2"

    await run.result()
    assert env.world.read_run(run.id).attributes == {"customer": "c1", "total": 3, "paid": True}


async def test_runs_are_found_by_their_attributes(env: Env) -> None:
    @workflow
    async def belongs_to(customer: str, total: int) -> None:
        set_attributes(customer=customer, total=total)
        await sleep("1h")

    runs = [await env.start(belongs_to, customer, total) for customer, total in (("c1", 1), ("c2", 2), ("c1", 3))]

    def found(**attributes: object) -> set[str]:
        return {record.run_id for record in env.world.list_runs(attributes=attributes).runs}

    assert found(customer="c1") == {runs[0].id, runs[2].id}
    assert found(customer="c1", total=3) == {runs[2].id}
    assert found(customer="c3") == set()
