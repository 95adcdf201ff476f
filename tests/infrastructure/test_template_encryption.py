"""What is encrypted with which key, who may use it, and that nothing travels in the clear."""

from typing import Any

import pytest

from tests.infrastructure.stack import Properties, Stack, listed

KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
FUNCTION_ROLES = ["OrchestratorRole", "StepExecutorRole", "SignalRole", "CaretakerRole"]


@pytest.fixture(scope="module")
def keyed() -> Stack:
    return Stack(KmsKeyArn=KEY, AlarmEmail="ops@example.com")


def key_of(kind: str, resource: Properties) -> Any:
    """The key that a resource is encrypted with."""
    match kind:
        case "DynamoDB::Table":
            # DynamoDB encrypts all tables. `SSEEnabled` without a key means one in KMS, whose requests are charged.
            specification = resource.get("SSESpecification")
            return specification["KMSMasterKeyId"] if specification else None
        case "SQS::Queue":
            assert resource["SqsManagedSseEnabled"] is ("KmsMasterKeyId" not in resource), "one of the two"
            return resource.get("KmsMasterKeyId")
        case "S3::Bucket":
            (rule,) = resource["BucketEncryption"]["ServerSideEncryptionConfiguration"]
            default = rule["ServerSideEncryptionByDefault"]
            assert default["SSEAlgorithm"] == ("aws:kms" if "KMSMasterKeyID" in default else "AES256")
            assert rule.get("BucketKeyEnabled", False) is ("KMSMasterKeyID" in default)
            return default.get("KMSMasterKeyID")
        case "SNS::Topic":
            return resource.get("KmsMasterKeyId")
        case "Lambda::Function":
            return resource.get("KmsKeyArn")
    return resource.get("KmsKeyId")


STORES = [
    "DynamoDB::Table",
    "SQS::Queue",
    "S3::Bucket",
    "Logs::LogGroup",
    "SecretsManager::Secret",
    "SNS::Topic",
    "Lambda::Function",
]


@pytest.mark.parametrize("kind", STORES)
def test_all_that_is_stored_is_under_your_key(keyed: Stack, kind: str) -> None:
    assert {key_of(kind, resource) for resource in keyed.all(kind).values()} == {KEY}


@pytest.mark.parametrize("kind", STORES)
def test_without_a_key_it_is_under_one_of_aws(kind: str) -> None:
    stack = Stack(AlarmEmail="ops@example.com")
    assert {key_of(kind, resource) for resource in stack.all(kind).values()} == {None}


def test_these_are_all_kinds_of_resources_that_store_something(keyed: Stack) -> None:
    storing_nothing = {
        "ApiGatewayV2::Api",
        "ApiGatewayV2::Integration",
        "ApiGatewayV2::Route",
        "ApiGatewayV2::Stage",
        "CloudWatch::Alarm",
        "Events::Rule",
        "IAM::ManagedPolicy",
        "IAM::Role",
        "Lambda::EventInvokeConfig",
        "Lambda::EventSourceMapping",
        "Lambda::LayerVersion",
        "Lambda::Permission",
        "Logs::QueryDefinition",
        "S3::BucketPolicy",
        "SQS::QueuePolicy",
        "Scheduler::ScheduleGroup",  # its schedules name runs, and hold no data of theirs
        "SecretsManager::RotationSchedule",
    }
    kinds = {resource["Type"].removeprefix("AWS::") for resource in keyed.resources.values()}
    assert kinds - storing_nothing == set(STORES)


SERVICES = {"dynamodb", "s3", "secretsmanager", "sqs"}


@pytest.mark.parametrize("role", [*FUNCTION_ROLES, "SchedulerRole"])
def test_a_role_uses_the_key_through_the_services_that_it_uses(keyed: Stack, role: str) -> None:
    statements = keyed.statements(role)
    key = statements.pop("Key")
    assert (key["Effect"], key["Resource"]) == ("Allow", KEY)
    assert key["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    used = {action.partition(":")[0] for s in statements.values() for action in listed(s["Action"])} & SERVICES
    if role in FUNCTION_ROLES:
        used |= {"lambda"}  # its environment
    through = listed(key["Condition"]["StringEquals"]["kms:ViaService"])
    assert through == [{"Fn::Sub": f"{service}.${{AWS::Region}}.${{AWS::URLSuffix}}"} for service in sorted(used)]


@pytest.mark.parametrize("role", [*FUNCTION_ROLES, "SchedulerRole"])
def test_without_a_key_no_role_uses_one(stack: Stack, role: str) -> None:
    assert "kms:" not in str(stack[role])


def test_every_queue_is_reached_over_tls_only_and_opened_to_nobody(stack: Stack) -> None:
    (policy,) = stack.all("SQS::QueuePolicy").values()
    assert {queue["Ref"] for queue in policy["Queues"]} == stack.all("SQS::Queue").keys()
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "sqs:*")
    assert statement["Resource"] == "*"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_every_bucket_is_private_and_reached_over_tls_only(stack: Stack) -> None:
    policies = {policy["Bucket"]["Ref"]: policy["PolicyDocument"] for policy in stack.all("S3::BucketPolicy").values()}
    assert policies.keys() == stack.all("S3::Bucket").keys()
    for bucket in stack.all("S3::Bucket").values():
        assert bucket["PublicAccessBlockConfiguration"] == {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        }
        assert "AccessControl" not in bucket
        assert "WebsiteConfiguration" not in bucket


def test_no_policy_of_a_resource_allows_anything(stack: Stack) -> None:
    for kind in ("S3::BucketPolicy", "SQS::QueuePolicy"):
        for policy in stack.all(kind).values():
            assert {statement["Effect"] for statement in policy["PolicyDocument"]["Statement"]} == {"Deny"}


CODEC = {
    "WORLDFLOW_PAYLOAD_CODEC": "worldflow.encryption:kms_codec",
    "WORLDFLOW_PAYLOAD_KEYS": KEY,
}


@pytest.mark.parametrize("keys", ["", KEY], ids=["without", "with"])
def test_what_runs_carry_is_encoded_where_there_are_keys_for_it(keys: str) -> None:
    stack = Stack(PayloadKeyArns=keys)
    for function in stack.all("Lambda::Function").values():
        variables = function["Environment"]["Variables"]
        assert {name: variables[name] for name in CODEC if name in variables} == (CODEC if keys else {})


@pytest.mark.parametrize("role", FUNCTION_ROLES)
def test_who_encodes_may_use_these_keys_for_nothing_else(role: str) -> None:
    """The caretaker archives what is stored as it is."""
    statement = Stack(PayloadKeyArns=KEY).statements(role).get("EncryptPayloads")
    assert "EncryptPayloads" not in Stack().statements(role)
    if role == "CaretakerRole":
        assert statement is None
        return
    assert statement == {
        "Sid": "EncryptPayloads",
        "Effect": "Allow",
        "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
        "Resource": [KEY],
        "Condition": {"StringEquals": {"kms:EncryptionContext:worldflow": "payload"}},
    }
