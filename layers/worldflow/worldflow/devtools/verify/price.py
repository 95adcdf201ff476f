"""What a verification costs: an upper bound, from the prices in `worldflow.costs.prices`."""

from __future__ import annotations

from worldflow.costs import prices
from worldflow.devtools.verify.checks.reconciling import MOST_BYTES

HOURS = 1.0
"""More than a verification takes. What is priced by the month is charged by the hour."""

MONTH = 730.0
IDLE_A_MONTH = 10.0
"""More dollars than an idle stack costs in a month, with its pollers, secret, alarms and dashboard."""

READ = 4 * MOST_BYTES
"""Bytes: both tables, twice."""

RUNS = 60
EVENTS = 40
"""More than the messages, items and invocations of a run."""


def dollars(*, makes: bool) -> float:
    per_event = prices.DYNAMODB_WRITE_UNIT * 4 + prices.SQS_REQUEST * 4 + prices.LAMBDA_REQUEST + prices.S3_WRITE
    compute = RUNS * EVENTS * 0.2 * prices.LAMBDA_GB_SECOND
    requests = RUNS * EVENTS * per_event + 1_000 * prices.HTTP_API_REQUEST + compute
    requests += READ / 4_096 * prices.DYNAMODB_READ_UNIT
    return requests + (HOURS * IDLE_A_MONTH / MONTH if makes else 0)


def price_line(*, makes: bool) -> str:
    cents = max(1, round(dollars(makes=makes) * 100 + 0.5))
    where = f"{prices.REGION}'s prices of {prices.AS_OF}"
    return f"It costs less than {cents} cents at {where}, and takes about 25 minutes on AWS."
