import pytest

from tests.unit.determinism.conftest import Found

MODULE = """
    import worldflow
    from shop.payments import charge_card, describe
    from worldflow import sleep, wait_for_signal

    @step
    def charge(amount: int) -> int: ...

    @step(name="ship_it")
    async def ship(amount: int) -> None: ...

    @workflow
    async def deliver() -> None: ...

    async def settle() -> None:
        await charge(1)

    async def lines():
        yield 1

    def say() -> None: ...

    async def elsewhere() -> None:
        await charge_card(1)
"""


@pytest.mark.parametrize(
    "statement",
    [
        "charge(1)",
        "ship(1)",
        "deliver()",
        "settle()",
        "sleep('3d')",
        "worldflow.sleep('3d')",
        "wait_for_signal('approval')",
        "asyncio.sleep(1)",
        "asyncio.gather(charge(1), charge(2))",
        "charge_card(1)",
        "charge.options(timeout='1s')(1)",
        "deliver.options(run_id='x')()",
    ],
)
def test_a_call_whose_result_nobody_takes(found: Found, statement):
    finding, *others = found(f"{statement}\nreturn 1", MODULE)
    assert finding.what.endswith("()")
    assert finding.why == "without await it does not run"
    assert finding.instead == f"await {finding.what}"
    assert others == []
    assert found(f"await {statement}\nreturn 1", MODULE) == []
    assert found(f"task = asyncio.create_task({statement})\nawait task", MODULE) == []
    assert found(f"made = {statement}\nawait made", MODULE) == []


@pytest.mark.parametrize("statement", ["ready and charge(1)", "charge(1) if ready else None", "[charge(1), 2]"])
def test_a_call_within_an_expression(found: Found, statement):
    assert [finding.what for finding in found(statement, MODULE, parameters="ready: bool")] == ["charge()"]


def test_a_call_that_the_workflow_returns(found: Found):
    (finding,) = found("return charge(1)", MODULE)
    assert (finding.what, finding.instead) == ("charge()", "return await charge()")
    assert found("return await charge(1)", MODULE) == []


def test_a_helper_that_a_workflow_uses(found: Found):
    helper = MODULE + "\n    def pay() -> None:\n        charge(1)\n\n    def later():\n        return charge(1)\n"
    (finding,) = found("pay()\nawait later()", helper)
    assert (finding.function, finding.what) == ("pay", "charge()")


@pytest.mark.parametrize(
    "statement",
    [
        "say()",
        "describe()",
        "lines()",
        "deliver.start_detached()",
        "await asyncio.gather(charge(1))",
        "charge(1).close()",
    ],
)
def test_what_needs_no_await(found: Found, statement):
    assert found(statement, MODULE) == []


def test_a_comment_allows_it(found: Found):
    assert found("charge(1)  # worldflow: allow", MODULE) == []
