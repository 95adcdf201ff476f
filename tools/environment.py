"""`python -m tools.environment STACK`: the variables with which an application reaches a deployed stack, as exports."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping

import boto3
from botocore.exceptions import BotoCoreError, ClientError

OUTPUTS = {
    "WORLDFLOW_EVENTS_TABLE": "EventsTableName",
    "WORLDFLOW_RUNS_TABLE": "RunsTableName",
    "WORLDFLOW_RUN_QUEUE_URL": "RunQueueUrl",
    "WORLDFLOW_STEP_QUEUE_URL": "StepQueueUrl",
    "WORLDFLOW_TIMER_QUEUE_URL": "TimerQueueUrl",
    "WORLDFLOW_TIMER_QUEUE_ARN": "TimerQueueArn",
    "WORLDFLOW_TIMER_DEAD_LETTER_ARN": "TimerDeadLetterQueueArn",
    "WORLDFLOW_SCHEDULER_GROUP": "SchedulerGroupName",
    "WORLDFLOW_SCHEDULER_ROLE_ARN": "SchedulerRoleArn",
    "WORLDFLOW_PAYLOAD_BUCKET": "PayloadBucketName",
    "WORLDFLOW_WEBHOOK_URL": "WebhookUrl",
    "WORLDFLOW_WEBHOOK_SECRET_ARN": "WebhookSecretArn",
    "WORLDFLOW_ORCHESTRATOR_FUNCTION": "OrchestratorFunctionName",
    "WORLDFLOW_API_GATEWAY_URL": "ApiUrl",
}


def environment(outputs: Mapping[str, str]) -> dict[str, str]:
    """The variables, from a stack's outputs."""
    return {name: outputs[output] for name, output in OUTPUTS.items()}


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tools.environment STACK")
    try:
        (stack,) = boto3.client("cloudformation").describe_stacks(StackName=sys.argv[1])["Stacks"]
    except (BotoCoreError, ClientError) as error:
        sys.exit(str(error))
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    for name, value in environment(outputs).items():
        print(f"export {name}={shlex.quote(value)}")


if __name__ == "__main__":
    main()
