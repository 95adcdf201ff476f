"""Steps that are in trouble for as long as a test says so, and what has run."""

from tests.support.crashes import CrashingWorld
from tests.support.steps import NO_RETRY
from worldflow import sleep, step, workflow

troubles: list[str] = []
ran: list[str] = []


@step(retry=NO_RETRY)
async def shaky() -> str:
    ran.append("shaky")
    if troubles:
        raise OSError(troubles[0])
    return "shaky"


@step(name="charge_in_trouble", retry=NO_RETRY)  # an example of the project has a `charge`
async def charge() -> str:
    ran.append("charge")
    return "charge"


@workflow
async def slow_child() -> str:
    await sleep("1d")
    ran.append("slow child")
    return "delivered"


def runs(world: CrashingWorld) -> dict[str, str]:
    """The runs of a world, and their statuses."""
    return {run.run_id: run.status for run in world.list_runs().runs}


def result(world: CrashingWorld, run_id: str) -> object:
    """What a run has returned."""
    record = world.read_run(run_id)
    assert record.status == "completed", record.error or record.blocked_reason
    return record.result


def kinds(world: CrashingWorld, run_id: str) -> list[str]:
    return [event.event_type for event in world.load_history(run_id)]
