"""What a stack costs a month, whatever its runs do: idle, and what its parameters add."""

from __future__ import annotations

from collections.abc import Sequence

from worldflow.costs import prices
from worldflow.costs.bills import Charge
from worldflow.worlds.aws.items import SHARDS

HOURS = prices.MONTH_DAYS * 24

FIFO_QUEUES = 4
"""With an event source mapping each."""

STANDARD_QUEUES = 2

POLLERS = 5
"""That Lambda has at each queue, and scales no further back where a mapping has a `MaximumConcurrency`."""

POLLS = POLLERS * 3 * 60 * HOURS
"""Long polls of a queue in a month, 20 seconds each."""

ALARMS = 17
"""In the template, with one metric each."""

SWEEP_SECONDS = 2.0
"""That the caretaker takes in an hour of an idle stack, with its cold start. Estimated."""

BUSY_METRICS = 5
"""That have values in an hour with work: of turns, replays, waits of steps, starts, and ends, for one workflow with one
outcome.
"""

KMS_REFRESHES = 12
"""Requests to KMS in an hour: for one connection with traffic to one table, since DynamoDB asks every five minutes; for
whoever uses a queue, since SQS uses a data key for as long; and of one process for data keys of payloads.
"""

CONNECTIONS = 2
"""To a table, of one busy environment of a function."""

QUEUE_USES = 12
"""Six queues, each with a role that sends and one that receives."""


def idle_month() -> Sequence[Charge]:
    """A stack at the template's defaults in which nothing runs, for a month."""
    # Each status of open runs is in all shards of an index, and half a read unit is the least.
    sweep_units = HOURS * 2 * SHARDS / 2
    return [
        Charge("polls of four FIFO queues", FIFO_QUEUES * POLLS, prices.SQS_REQUEST),
        Charge("polls of two standard queues", STANDARD_QUEUES * POLLS, prices.SQS_STANDARD_REQUEST),
        Charge("alarms", ALARMS, prices.ALARM_MONTH),
        Charge("the secret that signs webhooks", 1, prices.SECRET_MONTH),
        Charge("the caretaker's GB-seconds", HOURS * SWEEP_SECONDS * 0.5, prices.LAMBDA_GB_SECOND),
        Charge("the caretaker's read units", sweep_units, prices.DYNAMODB_READ_UNIT),
        Charge("the caretaker's invocations", HOURS, prices.LAMBDA_REQUEST),
    ]


def more_a_month(environments: int = 10) -> Sequence[Charge]:
    """What parameters, and work in each hour, add to a month.

    environments: of functions that are busy at a time.
    """
    stored = (environments * 2 * CONNECTIONS + QUEUE_USES) * KMS_REFRESHES * HOURS
    # Each process has data keys of its own, and keeps those that it has read of others for an hour.
    own_keys = environments * KMS_REFRESHES
    payloads = (own_keys + environments * own_keys) * HOURS
    busy = f"{environments} busy environments"
    return [
        Charge("metrics of one workflow, with work in every hour", BUSY_METRICS, prices.METRIC_MONTH),
        Charge("`Dashboard: true`", 1, prices.DASHBOARD_MONTH),
        Charge("`EventBusName`: its alarm", 1, prices.ALARM_MONTH),
        Charge("`RunRecords: true`: its alarm", 1, prices.ALARM_MONTH),
        Charge("`KmsKeyArn` or `PayloadKeyArns`: a key", 1, prices.KMS_KEY_MONTH),
        Charge(f"`KmsKeyArn`: requests for tables and queues, {busy}", stored, prices.KMS_REQUEST),
        Charge(f"`PayloadKeyArns`: requests, at most, {busy}", payloads, prices.KMS_REQUEST),
    ]
