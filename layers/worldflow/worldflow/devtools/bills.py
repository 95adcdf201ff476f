"""What the use of a local AWS would have cost on AWS, at the prices of `worldflow.costs.prices`."""

from __future__ import annotations

from collections import Counter

from worldflow.costs import Charge, prices
from worldflow.devtools.local_aws.launcher import Usage

COMPUTE = "Lambda GB-seconds"


def bill(usage: Usage) -> list[Charge]:
    """What some usage costs, line by line, without what is zero."""
    services: Counter[str] = Counter()
    for (service, _), count in usage.requests.items():
        services[service] += count
    requests = usage.requests
    charges = [
        Charge("DynamoDB write units", usage.write_units, prices.DYNAMODB_WRITE_UNIT),
        Charge("DynamoDB read units", usage.read_units, prices.DYNAMODB_READ_UNIT),
        Charge("SQS requests", services["sqs"], prices.SQS_REQUEST),
        Charge("Lambda invocations", services["lambda"], prices.LAMBDA_REQUEST),
        Charge(COMPUTE, usage.gb_seconds, prices.LAMBDA_GB_SECOND),
        Charge("HTTP API requests", services["apigateway"], prices.HTTP_API_REQUEST),
        Charge("schedules", requests["scheduler", "CreateSchedule"], prices.SCHEDULE),
        Charge("S3 writes", requests["s3", "PutObject"], prices.S3_WRITE),
        Charge("S3 reads", requests["s3", "GetObject"], prices.S3_READ),
    ]
    return [charge for charge in charges if charge.amount]
