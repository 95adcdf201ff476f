"""What decides when something begins: delays, a debounce, limits."""

from __future__ import annotations

from worldflow.devtools.verify.checks.timers import schedule_of, wait_for_deletion
from worldflow.devtools.verify.failures import Failed
from worldflow.devtools.verify.outcome import check
from worldflow.devtools.verify.target import Target


@check(
    "Delayed starts",
    statements=("SignalRole.Delay", "SignalRole.DelayForLong", "SignalRole.PassSchedulerRole"),
    look=("Signal", "Orchestrator"),
)
def delayed(target: Target) -> str:
    """A run begins after two seconds, which SQS counts. Another is to begin in a month, which a schedule counts, and is
    cancelled: the API's function may create schedules whose names begin with `start-`.
    """
    soon = target.start("verify_pass", {"value": "later"}, delay="2s")
    target.ended(soon)
    run_id, name = schedule_of(target, lambda: target.start("verify_pass", {"value": "never"}, delay="30d"))
    if not name.startswith("start-"):
        raise Failed(f"the schedule of a start is named {name}")
    target.expect(202, "POST", f"/runs/{run_id}/terminate")
    target.ended(run_id, "cancelled")
    wait_for_deletion(target, name)
    return "one began, and one was cancelled with its schedule"


@check(
    "Debounced starts",
    statements=("SignalRole.Starts", "SignalRole.Delay", "OrchestratorRole.ForgetHooks"),
    look=("Signal", "Orchestrator"),
)
def gathered(target: Target) -> str:
    """Two starts become one run, with the input of the second: the API's function writes it beside the run's history,
    under a condition on its key, and the orchestrator deletes the item by which starts find the run.
    """
    run_id = target.start("verify_debounced", {"value": "first"})
    target.start("verify_debounced", {"value": "second"})
    if target.ended(run_id)["result"] != "second":
        raise Failed("the run has the input of the first start")
    return "two starts, one run"


@check("Limits of steps", statements=("SignalRole.Limits", "SignalRole.Send"), look=("Signal", "Orchestrator"))
def limited(target: Target) -> str:
    """A step waits at the limit `verify`, which is set to 0, and gets its place when it is set to 2: the API's function
    writes limits, under a condition on their keys, and tells those that wait. The limit stays in the stack's list.
    """
    target.ended(target.start("verify_limited"))  # which declares the limit
    target.expect(200, "PATCH", "/limits/verify", {"concurrency": 0})
    try:
        run_id = target.start("verify_limited")

        def waiting() -> bool | None:
            (limit,) = target.expect(200, "GET", "/limits/verify")["limits"]
            return run_id in [place["run_id"] for place in limit["waiting"]] or None

        target.until(waiting, otherwise=f"{run_id} does not wait at limit 'verify'")
        target.expect(200, "PATCH", "/limits/verify", {"concurrency": 2})
        target.ended(run_id)
    finally:
        target.expect(200, "PATCH", "/limits/verify", {"reset": True})
    return "held at 0, and let through at 2"
