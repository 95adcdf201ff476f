"""The functions in a VPC: when there is one, and what Lambda needs of their roles then."""

import re

import pytest

from tests.infrastructure.stack import ROOT, Stack, listed

ROLES = ["OrchestratorRole", "StepExecutorRole", "SignalRole", "CaretakerRole"]
BY_THE_SERVICE = {"Null": {"lambda:SourceFunctionArn": "true"}}


@pytest.fixture(scope="module")
def inside() -> Stack:
    return Stack(SubnetIds=["subnet-1", "subnet-2"], SecurityGroupIds=["sg-1"])


def test_by_default_there_is_none_and_no_right_on_networks(stack: Stack) -> None:
    for function in stack.all("Lambda::Function").values():
        assert "VpcConfig" not in function
    assert "NetworkPolicy" not in stack.resources
    for role in stack.all("IAM::Role").values():
        assert "ManagedPolicyArns" not in role
        assert "ec2:" not in str(role)


def test_every_function_is_in_the_subnets(inside: Stack) -> None:
    for function in inside.all("Lambda::Function").values():
        assert function["VpcConfig"] == {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}


def test_only_the_functions_roles_get_what_lambda_needs_for_it(inside: Stack) -> None:
    attached = {name for name, role in inside.all("IAM::Role").items() if "ManagedPolicyArns" in role}
    assert attached == set(ROLES)
    assert {str(inside[role]["ManagedPolicyArns"]) for role in ROLES} == {"[{'Ref': 'NetworkPolicy'}]"}


def test_the_code_in_a_function_cannot_use_it(inside: Stack) -> None:
    for statement in inside["NetworkPolicy"]["PolicyDocument"]["Statement"]:
        assert statement["Condition"] == BY_THE_SERVICE
        assert not [action for action in listed(statement["Action"]) if "*" in action]


def test_only_what_looks_is_allowed_everywhere(inside: Stack) -> None:
    for statement in inside["NetworkPolicy"]["PolicyDocument"]["Statement"]:
        if statement["Resource"] == "*":
            assert all(action.startswith("ec2:Describe") for action in statement["Action"])
        else:
            network = "arn:${AWS::Partition}:ec2:${AWS::Region}:*:*/*"  # of any account: subnets may be shared
            assert statement["Resource"] == {"Fn::Sub": network}


def test_the_guide_names_an_endpoint_for_each_service_that_functions_call() -> None:
    key = "arn:aws:kms:eu-west-1:111122223333:key/1"
    stack = Stack(PayloadKeyArns=key, EventBusName="runs")
    statements = [statement for role in ROLES for statement in stack.statements(role).values()]
    services = {action.partition(":")[0] for statement in statements for action in listed(statement["Action"])}
    section = (ROOT / "docs/guide/deploying.md").read_text().partition("## In a VPC")[2].partition("\n## ")[0]
    named = {"dynamodb", "s3", *re.findall(r"\(`([a-z]+)`\)", section)}
    # Lambda itself sends logs, and the right to pass a role is no request.
    assert named == services - {"logs", "iam"}
