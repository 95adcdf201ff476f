"""What `aws_setup` makes is what the template says: each property is looked up on the resource itself."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.infrastructure.stack import Properties, Stack
from worldflow.aws_setup import Resources, setup_worldflow_infrastructure
from worldflow.stacks import OF_APPLICATIONS_ONLY, OUTPUTS

REGION = "eu-west-1"
ACCOUNT = "123456789012"

QUEUES = {
    "RunQueue": "worldflow-runs.fifo",
    "StepQueue": "worldflow-steps.fifo",
    "TimerQueue": "worldflow-timers",
    "RunDeadLetterQueue": "worldflow-runs-dead-letters.fifo",
    "StepDeadLetterQueue": "worldflow-steps-dead-letters.fifo",
    "TimerDeadLetterQueue": "worldflow-timers-dead-letters",
}
TABLES = {"EventsTable": "worldflow-events", "RunsTable": "worldflow-runs"}


@pytest.fixture(scope="module")
def resources() -> Iterator[Resources]:
    with pytest.MonkeyPatch.context() as environment, mock_aws():
        environment.delenv("AWS_ENDPOINT_URL", raising=False)
        yield setup_worldflow_infrastructure(region=REGION)


def client(service: str) -> Any:
    return boto3.Session(region_name=REGION).client(service)


def put_in(node: Any) -> Any:
    """The template's references, as they read once they are resolved."""
    arns = {id: f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}" for id, name in QUEUES.items()}
    bucket = f"arn:aws:s3:::worldflow-payloads-{ACCOUNT}-{REGION}"
    arns |= {
        "SchedulerGroup": f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule-group/worldflow",
        "PayloadBucket": bucket,
    }
    match node:
        case {"Fn::GetAtt": [id, "Arn"]}:
            return arns[id]
        case {"Fn::Sub": "${PayloadBucket.Arn}/*"}:
            return f"{bucket}/*"
        case {"Ref": "AWS::AccountId"}:
            return ACCOUNT
        case dict():
            return {key: put_in(value) for key, value in node.items()}
        case list():
            return [put_in(value) for value in node]
    return node


def test_all_tables_and_queues_are_compared(stack: Stack):
    assert stack.all("DynamoDB::Table").keys() == TABLES.keys()
    assert stack.all("SQS::Queue").keys() == QUEUES.keys()


@pytest.mark.parametrize("logical_id", TABLES)
def test_a_table(stack: Stack, resources: Resources, logical_id: str):
    assert made_table(TABLES[logical_id]) == wanted_table(stack[logical_id])


def wanted_table(properties: Properties) -> dict[str, Any]:
    wanted = dict(properties)
    indexes = wanted.pop("GlobalSecondaryIndexes", [])
    expiry = wanted.pop("TimeToLiveSpecification", {"Enabled": False})
    return {
        **wanted,
        "AttributeDefinitions": by_name(wanted["AttributeDefinitions"], "AttributeName"),
        "GlobalSecondaryIndexes": by_name(indexes, "IndexName"),
        "TimeToLiveSpecification": expiry,
    }


def made_table(name: str) -> dict[str, Any]:
    """A table, in the words of a template."""
    dynamodb = client("dynamodb")
    table = dynamodb.describe_table(TableName=name)["Table"]
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    expiry = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    indexes = [
        {key: index[key] for key in ("IndexName", "KeySchema", "Projection")}
        for index in table["GlobalSecondaryIndexes"]
    ]
    is_on = expiry["TimeToLiveStatus"] == "ENABLED"
    return {
        "BillingMode": table["BillingModeSummary"]["BillingMode"],
        "AttributeDefinitions": by_name(table["AttributeDefinitions"], "AttributeName"),
        "KeySchema": table["KeySchema"],
        "GlobalSecondaryIndexes": by_name(indexes, "IndexName"),
        **({"SSESpecification": {"SSEEnabled": True}} if table.get("SSEDescription") else {}),
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": recovery == "ENABLED"},
        "DeletionProtectionEnabled": table["DeletionProtectionEnabled"],
        "TimeToLiveSpecification": {"Enabled": is_on} | ({"AttributeName": expiry["AttributeName"]} if is_on else {}),
    }


def by_name(things: list[dict[str, Any]], name: str) -> dict[str, dict[str, Any]]:
    return {thing[name]: thing for thing in things}


@pytest.mark.parametrize("logical_id", QUEUES)
def test_a_queue(stack: Stack, resources: Resources, logical_id: str):
    is_fifo = "FifoQueue" in stack[logical_id]
    plain = "plain.fifo" if is_fifo else "plain"
    client("sqs").create_queue(QueueName=plain, Attributes={"FifoQueue": "true"} if is_fifo else {})
    # What the template does not say is as in a queue of which nothing is said.
    policy = stack["QueuePolicy"]["PolicyDocument"]
    wanted = {name: text(value) for name, value in put_in({**stack[logical_id], "Policy": policy}).items()}
    assert attributes(QUEUES[logical_id]) == attributes(plain) | wanted


def attributes(name: str) -> dict[str, str]:
    """The attributes of a queue, but for those that no two share."""
    sqs = client("sqs")
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return {name: value for name, value in found.items() if name != "QueueArn" and not name.endswith("Timestamp")}


def text(value: Any) -> str:
    """A property of a template as the text that an attribute of a queue is."""
    return value if isinstance(value, str) else json.dumps(value)


def test_the_role_of_schedules(stack: Stack, resources: Resources):
    iam = client("iam")
    name = resources.scheduler_role_arn.rsplit("/", 1)[1]
    wanted = put_in(stack["SchedulerRole"])
    assert iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"] == wanted["AssumeRolePolicyDocument"]
    (policy,) = wanted["Policies"]
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == [policy["PolicyName"]]
    made = iam.get_role_policy(RoleName=name, PolicyName=policy["PolicyName"])
    assert made["PolicyDocument"] == policy["PolicyDocument"]


def test_the_bucket_of_payloads(stack: Stack, resources: Resources):
    s3, bucket, wanted = client("s3"), {"Bucket": resources.payload_bucket}, stack["PayloadBucket"]
    encryption = s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    wanted_encryption = wanted["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]
    assert encryption["ApplyServerSideEncryptionByDefault"] == wanted_encryption["ServerSideEncryptionByDefault"]
    access = s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"]
    assert access == wanted["PublicAccessBlockConfiguration"]
    assert s3.get_bucket_ownership_controls(**bucket)["OwnershipControls"] == wanted["OwnershipControls"]
    assert s3.get_bucket_versioning(**bucket)["Status"] == wanted["VersioningConfiguration"]["Status"]
    rules = s3.get_bucket_lifecycle_configuration(**bucket)["Rules"]
    assert [as_in_a_template(rule) for rule in rules] == wanted["LifecycleConfiguration"]["Rules"]


def as_in_a_template(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule of a lifecycle, in the words of a template."""
    prefix = rule.pop("Filter").get("Prefix")
    transitions = [
        {"StorageClass": to["StorageClass"], "TransitionInDays": to["Days"]} for to in rule.pop("Transitions", [])
    ]
    return (
        {"Id": rule.pop("ID"), **rule.pop("Expiration", {}), **rule}
        | ({"Prefix": prefix} if prefix else {})
        | ({"Transitions": transitions} if transitions else {})
    )


def test_the_policy_of_the_bucket(stack: Stack, resources: Resources):
    policy = json.loads(client("s3").get_bucket_policy(Bucket=resources.payload_bucket)["Policy"])
    assert policy == put_in(stack["PayloadBucketPolicy"])["PolicyDocument"]


def test_the_key_of_webhooks(stack: Stack, resources: Resources):
    wanted = stack["WebhookSecret"]
    secrets = client("secretsmanager")
    assert secrets.describe_secret(SecretId=resources.webhook_secret_arn)["Description"] == wanted["Description"]
    key = secrets.get_secret_value(SecretId=resources.webhook_secret_arn)["SecretString"]
    generated = wanted["GenerateSecretString"]
    assert (len(key), key.isalnum()) == (generated["PasswordLength"], generated["ExcludePunctuation"])


def test_the_environment(resources: Resources):
    of_a_stack = OUTPUTS.keys() - OF_APPLICATIONS_ONLY.keys() - {"WORLDFLOW_WEBHOOK_URL"}  # which has no functions
    assert resources.environment().keys() == of_a_stack | {"WORLDFLOW_DEAD_LETTER_ARNS"}
