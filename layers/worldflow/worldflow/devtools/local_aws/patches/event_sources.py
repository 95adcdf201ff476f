"""Event source mappings of queues: many message groups at a time, and one failure does not stop the others.

Wrong, and what AWS does:

- A FIFO queue gets one invocation at a time, whatever `MaximumConcurrency` says. AWS works on as many message groups in
  parallel as that allows. (The order within a group needs no care here: a receive passes over groups in flight.)
- After a failed batch the whole mapping pauses for a second. AWS continues with the others; the failed messages come
  back after their visibility timeout.
- A malformed partial batch response, such as one that names an unknown message, counts as a success and the messages
  are deleted. AWS takes it as a failure of the whole batch.
- Delayed messages are looked for once a second. AWS delivers them when they are due.
- Every mapping scales up at once: after a deployment a small machine starts thirty processes, none of which is ready
  before the visibility of its messages ends. AWS scales up step by step, and has more processors. Here messages stay in
  their queues while twice as many processes start as there are processors.
"""

import json
import logging
from typing import Any

from ministack.services import lambda_svc, sqs

from worldflow.devtools.local_aws.counting import counts
from worldflow.devtools.local_aws.patches import workers

# AWS sets no limit without MaximumConcurrency. A laptop has one.
_DEFAULT_CONCURRENCY = 10
_POLL_SECONDS = 0.1

logger = logging.getLogger("event_sources")


def apply() -> None:
    lambda_svc._sqs_esm_concurrency = _concurrency
    lambda_svc._run_sqs_batch = _run_batch
    lambda_svc._poll_loop = _poll_forever


def _concurrency(mapping: dict[str, Any], *_: Any) -> int:
    if workers.is_crowded(mapping["FunctionName"]):
        return 0
    scaling = mapping.get("ScalingConfig") or {}
    return int(scaling.get("MaximumConcurrency") or _DEFAULT_CONCURRENCY)


def _poll_forever() -> None:
    # Kinesis and DynamoDB streams are not polled: nothing here uses them.
    while True:
        lambda_svc._esm_wake.clear()
        try:
            busy = lambda_svc._poll_sqs()
        except Exception:
            logger.exception("polling the queues failed")
            busy = False
        if not busy:
            lambda_svc._esm_wake.wait(_POLL_SECONDS)


def _run_batch(
    mapping: dict[str, Any],
    function: dict[str, Any],
    event: dict[str, Any],
    batch: list[dict[str, Any]],
    queue_url: str,
    queue_name: str,
) -> None:
    counts.request("sqs", "ReceiveMessage")
    counts.delivery(queue_name, "received", len(batch))
    counts.delivery(queue_name, "received again", sum(message.get("receive_count", 1) > 1 for message in batch))
    result = lambda_svc._execute_function(function, event)
    if result.get("error") or result.get("throttle"):
        counts.delivery(queue_name, "lost", len(batch))
        logger.warning("%s failed on a batch of %s: %s", mapping["FunctionName"], queue_name, result.get("body"))
        return
    sent = {message["id"] for message in batch}
    try:
        failed = _failed_messages(mapping, result.get("body"), sent)
    except ValueError as error:
        logger.warning("%s answered a batch of %s wrongly: %s", mapping["FunctionName"], queue_name, error)
        return
    handles = {message["receipt_handle"] for message in batch if message["id"] not in failed}
    if handles:
        counts.request("sqs", "DeleteMessageBatch")
        sqs._delete_messages_for_esm(queue_url, handles)


def _failed_messages(mapping: dict[str, Any], answer: Any, sent: set[str]) -> set[str]:
    if "ReportBatchItemFailures" not in mapping.get("FunctionResponseTypes", []):
        return set()
    if isinstance(answer, str):
        answer = json.loads(answer) if answer else None
    if not answer or not answer.get("batchItemFailures"):
        return set()
    failed = {failure.get("itemIdentifier") for failure in answer["batchItemFailures"]}
    if not failed <= sent:
        raise ValueError(f"batchItemFailures names messages that were not in the batch: {failed - sent}")
    return failed
