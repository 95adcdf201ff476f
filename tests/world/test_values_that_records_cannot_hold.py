"""What users say without a limit, and what stores do not take: refused where it is said, and no run hangs of it."""

from typing import Any

import pytest

from tests.support.systems import AWSSystem, System
from worldflow import (
    InvalidInputError,
    continue_as_new,
    create_hook,
    set_attributes,
    set_status,
    wait_for_signal,
    workflow,
)
from worldflow.runtime import sending, starting, updates, webhooks

LARGE = "y" * 500_000


@workflow
async def says_too_much(what: str) -> int:
    match what:
        case "attribute":
            set_attributes(text=LARGE)
        case "many attributes":
            for number in range(100):
                set_attributes(**{f"a{number}": LARGE[:10_000]})
        case "status":
            set_status(LARGE)
        case "metadata":
            create_hook(token="t", metadata=LARGE)
    return await wait_for_signal("end", int)


@workflow
async def takes_many(n: int = 1) -> None:
    for _ in range(30):
        await wait_for_signal("more")
    continue_as_new(n + 1)


def rest(aws: AWSSystem) -> None:
    """Lets the functions do what they can, with no end of failures."""
    for _ in range(12):
        for queue in ("runs", "steps"):
            if aws.stack.messages(queue):
                aws.poll(queue)


@pytest.mark.parametrize("what", ["attribute", "many attributes", "status", "metadata"])
def test_a_run_that_says_too_much_fails_or_goes_on(aws: AWSSystem, what: str) -> None:
    starting.start(aws.world, "r", says_too_much, {"what": what})
    rest(aws)
    assert [*aws.stack.messages("runs"), *aws.stack.messages("dead-runs")] == []
    record = aws.world.get_run("r")
    assert record
    if record.status == "failed":
        assert record.error
        assert record.error.type.endswith(":SerializationError")
    else:
        sending.signal(aws.world, "r", "end", 5)
        rest(aws)
        assert aws.world.read_run("r").result == 5


@pytest.mark.parametrize("ask", ["signal", "resume", "update"])
def test_an_id_that_is_no_id_is_refused(system: System, ask: str) -> None:
    starting.start(system.world, "r", says_too_much, {"what": ""})
    with pytest.raises(InvalidInputError):
        match ask:
            case "signal":
                sending.signal(system.world, "r", "end", 1, signal_id=LARGE[:20_000])
            case "update":
                updates.send_update(system.world, "r", "n", (), update_id=LARGE[:20_000])
            case "resume":
                webhooks.resume_hook(system.world, "t", resume_id=LARGE[:20_000])


def test_many_ids_of_ordinary_length_go_on(aws: AWSSystem) -> None:
    starting.start(aws.world, "r", takes_many)
    for number in range(30):
        sending.signal(aws.world, "r", "more", signal_id=f"{number:0>200}")
    rest(aws)
    assert aws.world.read_run("r").status == "continued"
    assert aws.world.read_run("r~2").status == "running"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_no_json_harm_no_list(system: System, value: Any) -> None:
    @workflow
    async def odd(number: float) -> float:
        set_attributes(fine=1)
        return number

    starting.start(system.world, "r", odd, {"number": value})
    system.settle()
    assert system.world.read_run("r").status == "completed"
    assert [run.run_id for run in system.world.list_runs(attributes={"fine": 1}).runs] == ["r"]
    assert system.world.list_runs(attributes={"fine": 2}).runs == []
