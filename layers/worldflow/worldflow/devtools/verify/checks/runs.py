"""The features of workflows, each with the IAM statements that it needs."""

from __future__ import annotations

import json

from worldflow.devtools.verify.checks.timers import start_to_sleep, wait_for_deletion
from worldflow.devtools.verify.failures import Failed, Skipped
from worldflow.devtools.verify.outcome import check
from worldflow.devtools.verify.target import PATIENCE, Target
from worldflow.runtime.stream_urls import stream_url
from worldflow.worlds import items, ledger

LARGE = 200 * 1024
"""Bytes of a value that is kept in S3: more than 64 KB."""

TURN, STEP = "Orchestrator", "StepExecutor"


@check(
    "Steps: a retry, a heartbeat",
    statements=(
        "OrchestratorRole.History",
        "OrchestratorRole.Runs",
        "OrchestratorRole.Send",
        "StepExecutorRole.Ledger",
        "StepExecutorRole.Send",
    ),
    look=(TURN, STEP),
)
def steps(target: Target) -> str:
    """A step that fails is retried after its delay, and reads the heartbeat of its first attempt: the step executor
    puts, reads and updates `step#...` items under a condition on their key.
    """
    run_id = target.start("verify_steps")
    result = target.ended(run_id)["result"]
    if result != "half done":
        raise Failed(f"the second attempt read {result!r}")
    return "the second attempt read the heartbeat of the first"


@check("Child workflows", statements=("OrchestratorRole.Runs", "OrchestratorRole.Send"), look=(TURN,))
def children(target: Target) -> str:
    """A run starts another and receives its result: the orchestrator writes a record."""
    run_id = target.start("verify_parent", {"value": "a child"})
    target.runs.append(f"{run_id}~c1")
    if target.ended(run_id)["result"] != "a child":
        raise Failed("the parent did not get its child's result")
    target.ended(f"{run_id}~c1")
    return f"{run_id}~c1 returned its result to its parent"


@check("Continue as new", statements=("OrchestratorRole.Runs",), look=(TURN,))
def generations(target: Target) -> str:
    """A run continues under the next id: the orchestrator writes which generation is the newest."""
    run_id = target.start("verify_generations", {"number": 1})
    target.runs.append(f"{run_id}~2")
    target.ended(run_id, "continued")
    target.ended(f"{run_id}~2")
    return f"{run_id}~2 completed"


@check("Signals", statements=("SignalRole.Read", "SignalRole.Requests", "SignalRole.Send"), look=("Signal", TURN))
def signals(target: Target) -> str:
    """A signal sent over the API, and sent again with the same `Idempotency-Key`, reaches its run."""
    run_id = target.start("verify_signal")
    key = {"Idempotency-Key": f"{run_id}-signal"}
    for _ in range(2):
        target.expect(202, "POST", f"/runs/{run_id}/signals/verify", '"received"', headers=key)
    if target.ended(run_id)["result"] != "received":
        raise Failed("the run received a different value")
    return "received"


@check("Cancellation", statements=("OrchestratorRole.Schedule",), look=("Signal", TURN))
def cancellation(target: Target) -> str:
    """A run that sleeps for days is cancelled, and its schedule is deleted."""
    run_id, name = start_to_sleep(target)
    target.expect(202, "POST", f"/runs/{run_id}/cancel", {"reason": "verified"})
    target.ended(run_id, "cancelled")
    wait_for_deletion(target, name)
    return "cancelled in its sleep, and its schedule is gone"


@check("Abandoned steps", statements=("OrchestratorRole.AbandonSteps",), look=(TURN, STEP))
def abandoned(target: Target) -> str:
    """The run of a step in progress is cancelled, and the step's next heartbeat is told: the orchestrator updates a
    `step#...` item under a condition on its key.
    """
    run_id = target.start("verify_slow")
    target.until(
        lambda: ledger.last_beat(target.world, run_id, "s1", 1), PATIENCE, f"the step of {run_id} has no heartbeat"
    )
    target.expect(202, "POST", f"/runs/{run_id}/cancel")
    target.ended(run_id, "cancelled")
    target.until(
        lambda: ledger.is_abandoned(target.world, run_id, "s1", 1) or None, 30, f"step s1 of {run_id} is not abandoned"
    )
    return "the step of a cancelled run was notified"


@check(
    "Retry and fork",
    statements=(
        "SignalRole.ReadHistory",
        "SignalRole.Read",
        "SignalRole.Write",
        "SignalRole.Send",
        "SignalRole.Payloads",
    ),
    look=("Signal", TURN),
)
def again(target: Target) -> str:
    """A failed run is retried under its next generation. A run with a large value is forked: the API's function copies
    the history that they share, and the value.
    """
    failed = target.start("verify_retry")
    target.ended(failed, "failed")
    retried = target.expect(201, "POST", f"/runs/{failed}/retry")["run_id"]
    target.runs.append(retried)
    target.ended(retried)
    run_id = target.start("verify_pass", {"value": "y" * LARGE})
    target.ended(run_id)
    fork = f"{run_id}-fork"
    scheduled = next(event["seq"] for event in target.events(run_id) if event["event_type"] == "StepScheduled")
    target.expect(201, "POST", f"/runs/{run_id}/fork", {"run_id": fork, "after": scheduled})
    target.runs.append(fork)
    if target.ended(fork)["result"] != "y" * LARGE:
        raise Failed("the fork returned a different result")
    return f"{retried} and {fork} completed"


@check(
    "Hooks",
    statements=("OrchestratorRole.Runs", "OrchestratorRole.ForgetHooks", "SignalRole.Read"),
    look=("Signal", TURN),
)
def hooks(target: Target) -> str:
    """A hook receives a value by its token, and its item is deleted with the run, under a condition on its key."""
    token = f"{target.prefix}-token"
    run_id = target.start("verify_hook", {"token": token})
    target.until(lambda: target.call("GET", f"/hooks/{token}").status == 200 or None, 60, "the hook does not exist")
    target.expect(202, "POST", f"/hooks/{token}", '"by token"')
    if target.ended(run_id)["result"] != "by token":
        raise Failed("the hook received a different value")
    target.until(lambda: items.get_hook(target.world, token) is None or None, 30, "the hook's item still exists")
    return "received a value, and its token is free again"


@check(
    "Webhooks",
    statements=("OrchestratorRole.SignWebhooks", "SignalRole.CheckWebhooks"),
    look=("Signal", TURN),
)
def webhooks(target: Target) -> str:
    """The workflow answers a URL that the orchestrator signed; a forged one is refused."""
    run_id, url = open_webhook(target)
    forged = target.call_webhook("POST", f"{url}x", "forged").status
    if forged != 404:
        raise Failed(f"a forged URL got status {forged}")
    answer = target.call_webhook("PUT", url, "from outside")
    if (answer.status, answer.body) != (201, {"received": "from outside"}):
        raise Failed(f"the webhook got {answer.status} {answer.body}")
    target.ended(run_id)
    return "answered by the workflow; forged: 404"


def open_webhook(target: Target) -> tuple[str, str]:
    """Starts a run that waits for a webhook. Returns its id and the webhook's URL."""
    run_id = target.start("verify_webhook")

    def url() -> str | None:
        found: str | None = (target.record(run_id).get("attributes") or {}).get("webhook")
        return found

    return run_id, target.until(url, 60, "the run has no webhook")


@check(
    "Streams",
    statements=(
        "OrchestratorRole.NamesOfStreams",
        "StepExecutorRole.Streams",
        "StepExecutorRole.NamesOfStreams",
        "SignalRole.ReadHistory",
        "SignalRole.CheckWebhooks",
    ),
    look=("Signal", TURN, STEP),
)
def streams(target: Target) -> str:
    """A step in each function writes to a stream, under conditions on its key and that of the names. The API reads it,
    and so does whoever has its signed URL; a forged one is refused.
    """
    run_id = target.start("verify_stream", {"words": ["one", "two"]})
    target.ended(run_id)
    names = target.expect(200, "GET", f"/runs/{run_id}/streams")["streams"]
    page = target.expect(200, "GET", f"/runs/{run_id}/streams/verify")
    values = [item["value"] for item in page["items"]]
    if (names, values) != (["verify"], ["one", "two"]):
        raise Failed(f"the streams {names} were listed, and {values} read")
    url = stream_url(target.world, run_id, "verify")
    forged = target.call_webhook("GET", f"{url}x", "").status
    if forged != 404:
        raise Failed(f"a forged URL got status {forged}")
    answer = target.call_webhook("GET", url, "")
    if (answer.status, answer.body) != (200, page):
        raise Failed(f"the signed URL got {answer.status} {answer.body}")
    return "written by both functions, read with the API and by a signed URL; forged: 404"


@check(
    "Updates and queries",
    statements=("SignalRole.ReadHistory", "SignalRole.Read", "SignalRole.Send"),
    look=("Signal", TURN),
)
def questions(target: Target) -> str:
    """The workflow answers an update. The API's function answers a query by replaying the history."""
    run_id = target.start("verify_questions")
    target.waits(run_id, "RunStarted")
    answer = target.expect(200, "POST", f"/runs/{run_id}/updates/add", {"args": [42]})
    total = target.expect(200, "GET", f"/runs/{run_id}/queries/total")
    if (answer["result"], total["result"]) != (42, 42):
        raise Failed(f"the update returned {answer}, and the query {total}")
    target.expect(202, "POST", f"/runs/{run_id}/signals/verify", '"end"')
    target.ended(run_id)
    return "an update and a query, answered"


@check(
    "Large values",
    statements=("OrchestratorRole.Payloads", "StepExecutorRole.Payloads", "SignalRole.Payloads"),
    look=("Signal", TURN, STEP),
)
def large_values(target: Target) -> str:
    """A value of 200 KB goes through a run, a step and the API: each function writes or reads it in S3."""
    run_id = target.start("verify_pass", {"value": "x" * LARGE})
    result = target.ended(run_id)["result"]
    if result != "x" * LARGE:
        raise Failed("the value did not come back as it was")
    pages = target.client("s3").list_objects_v2(
        Bucket=target.outputs["PayloadBucketName"], Prefix=f"payloads/{run_id}/"
    )
    if not pages.get("Contents"):
        raise Failed("the value came back, but is not in the bucket")
    return f"{pages['KeyCount']} objects in S3"


@check(
    "Payload codec (KMS)",
    statements=("OrchestratorRole.EncryptPayloads", "StepExecutorRole.EncryptPayloads", "SignalRole.EncryptPayloads"),
    behaviour="KMS: the encryption context of payloads",
    only_on_aws="the local AWS fills kms:EncryptionContext with Worldflow's own code",
    look=("Signal", TURN, STEP),
)
def codec(target: Target) -> str:
    """A run's data is not readable in the table, and readable over the API."""
    if not target.parameter("PayloadKeyArns"):
        raise Skipped("the stack has no PayloadKeyArns: PARAMETERS=PayloadKeyArns=arn:aws:kms:...:key/...")
    secret = f"{target.prefix}-in-the-clear"
    run_id = target.start("verify_pass", {"value": secret})
    if target.ended(run_id)["result"] != secret:
        raise Failed("the value did not come back as it was")
    items = target.client("dynamodb").query(
        TableName=target.outputs["EventsTableName"],
        KeyConditionExpression="run_id = :run",
        ExpressionAttributeValues={":run": {"S": run_id}},
    )["Items"]
    if not items or secret in json.dumps(items, default=str):
        raise Failed("the history holds the value in plain text")
    return "encrypted in the table, readable over the API"


@check(
    "The example order",
    statements=(
        "OrchestratorRole.Runs",
        "OrchestratorRole.Schedule",
        "StepExecutorRole.Ledger",
        "SignalRole.Write",
        "SignalRole.Send",
    ),
    look=("Signal", TURN, STEP),
)
def order(target: Target) -> str:
    """The order of `make demo` is approved and shipped."""
    from worldflow.devtools import demo

    run_id = f"{target.prefix}-order"
    started = target.call(
        "POST", "/runs", {"workflow": "fulfil_order", "run_id": run_id, "input": {"order": demo.ORDER}}
    )
    if started.status == 422:
        raise Skipped("the stack has no workflow 'fulfil_order'")
    if started.status != 201:
        raise Failed(f"POST /runs: {started.status} {started.body}")
    target.runs.append(run_id)
    try:
        demo.follow(target, target.world, run_id)
    except demo.DemoFailed as reason:
        raise Failed(str(reason)) from None
    result = target.ended(run_id)["result"]
    if result["tracking"] != "PARCEL-1001":
        raise Failed(f"the order returned {result}")
    return f"approved and shipped: {result['tracking']}"
