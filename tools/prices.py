"""What AWS asks for requests, in US dollars, on demand in us-east-1, without the free tier, as of November 2026.

AWS publishes them at aws.amazon.com/dynamodb/pricing/on-demand, /sqs/pricing, /lambda/pricing, /api-gateway/pricing,
/eventbridge/pricing and /s3/pricing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tools.local_aws.launcher import Usage

MILLION = 1_000_000

DYNAMODB_WRITE_UNIT = 0.625 / MILLION
DYNAMODB_READ_UNIT = 0.125 / MILLION
SQS_REQUEST = 0.50 / MILLION  # FIFO; a standard queue's cost 0.40
LAMBDA_REQUEST = 0.20 / MILLION
LAMBDA_GB_SECOND = 0.0000133334  # arm64
HTTP_API_REQUEST = 1.00 / MILLION
SCHEDULE = 1.00 / MILLION
S3_WRITE = 5.00 / MILLION
S3_READ = 0.40 / MILLION


COMPUTE = "Lambda GB-seconds"


@dataclass(frozen=True, slots=True)
class Charge:
    """One line of the bill."""

    what: str
    amount: float
    price: float

    @property
    def dollars(self) -> float:
        return self.amount * self.price


def bill(usage: Usage) -> list[Charge]:
    """What some usage costs, line by line, without what is zero."""
    services: Counter[str] = Counter()
    for (service, _), count in usage.requests.items():
        services[service] += count
    requests = usage.requests
    charges = [
        Charge("DynamoDB write units", usage.write_units, DYNAMODB_WRITE_UNIT),
        Charge("DynamoDB read units", usage.read_units, DYNAMODB_READ_UNIT),
        Charge("SQS requests", services["sqs"], SQS_REQUEST),
        Charge("Lambda invocations", services["lambda"], LAMBDA_REQUEST),
        Charge(COMPUTE, usage.gb_seconds, LAMBDA_GB_SECOND),
        Charge("HTTP API requests", services["apigateway"], HTTP_API_REQUEST),
        Charge("schedules", requests["scheduler", "CreateSchedule"], SCHEDULE),
        Charge("S3 writes", requests["s3", "PutObject"], S3_WRITE),
        Charge("S3 reads", requests["s3", "GetObject"], S3_READ),
    ]
    return [charge for charge in charges if charge.amount]
