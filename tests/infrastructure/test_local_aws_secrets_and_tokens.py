"""The local AWS rotates a secret with its function, and lets in whoever shows a token of the issuer."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from worldflow.devtools.local_aws import LocalAws

HANDLER = """
def handler(event, context):
    if "Step" in event:
        print("step", event["Step"], event["ClientRequestToken"])
    return {"statusCode": 200, "body": "{}"}
"""


def template(pool: str, audience: str) -> dict[str, Any]:
    token = {
        "type": "oauth2",
        "x-amazon-apigateway-authorizer": {
            "type": "jwt",
            "identitySource": "$request.header.Authorization",
            "jwtConfiguration": {
                "issuer": f"https://cognito-idp.us-east-1.amazonaws.com/{pool}",
                "audience": [audience],
            },
        },
    }
    return {
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {
            "Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {"SecretString": "old"}},
            "Rotation": {
                "Type": "AWS::SecretsManager::RotationSchedule",
                "Properties": {
                    "SecretId": {"Ref": "Secret"},
                    "RotationLambdaARN": {"Fn::GetAtt": "Function.Arn"},
                    "RotationRules": {"AutomaticallyAfterDays": 30},
                    "RotateImmediatelyOnUpdate": False,
                },
            },
            "Api": {
                "Type": "AWS::Serverless::HttpApi",
                "Properties": {
                    "DefinitionBody": {
                        "openapi": "3.0.1",
                        "components": {"securitySchemes": {"Caller": token}},
                        "paths": {
                            "/runs": {"get": {"security": [{"Caller": []}]}},
                            "/mine": {"get": {"security": [{"Caller": ["aws.cognito.signin.user.admin"]}]}},
                            "/all": {"get": {"security": [{"Caller": ["worldflow/admin"]}]}},
                        },
                    }
                },
            },
            "Function": {
                "Type": "AWS::Serverless::Function",
                "Properties": {
                    "InlineCode": HANDLER,
                    "Handler": "index.handler",
                    "Runtime": "python3.11",
                    "Events": {
                        name: {
                            "Type": "HttpApi",
                            "Properties": {"ApiId": {"Ref": "Api"}, "Method": "GET", "Path": f"/{name.lower()}"},
                        }
                        for name in ("Runs", "Mine", "All")
                    },
                },
            },
        },
        "Outputs": {
            name: {"Value": {"Ref": resource}}
            for name, resource in {"Secret": "Secret", "Function": "Function", "Api": "Api"}.items()
        },
    }


class Stack:
    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        cognito = aws.client("cognito-idp")
        pool = cognito.create_user_pool(PoolName="people")["UserPool"]["Id"]
        flows = ["ALLOW_ADMIN_USER_PASSWORD_AUTH"]
        client = cognito.create_user_pool_client(UserPoolId=pool, ClientName="shop", ExplicitAuthFlows=flows)
        audience = client["UserPoolClient"]["ClientId"]
        cognito.admin_create_user(UserPoolId=pool, Username="ada")
        cognito.admin_set_user_password(UserPoolId=pool, Username="ada", Password="Passw0rd!", Permanent=True)
        answer = cognito.admin_initiate_auth(
            UserPoolId=pool,
            ClientId=audience,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": "ada", "PASSWORD": "Passw0rd!"},
        )
        self.token: str = answer["AuthenticationResult"]["IdToken"]
        self.token_with_a_scope: str = answer["AuthenticationResult"]["AccessToken"]
        cloudformation = aws.client("cloudformation")
        body = json.dumps(template(pool, audience))
        cloudformation.create_stack(StackName="test", TemplateBody=body, Capabilities=["CAPABILITY_AUTO_EXPAND"])
        cloudformation.get_waiter("stack_create_complete").wait(StackName="test", WaiterConfig={"Delay": 0.2})
        (stack,) = cloudformation.describe_stacks(StackName="test")["Stacks"]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def get(self, path: str = "/runs", **headers: str) -> int:
        request = urllib.request.Request(self.aws.http_api_url(self.outputs["Api"]) + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with LocalAws(tmp_path_factory.mktemp("aws")) as aws:
        yield Stack(aws)


def test_a_token_of_the_issuer_is_let_in_and_nothing_else(stack: Stack) -> None:
    assert stack.get(Authorization=f"Bearer {stack.token}") == 200
    head, claims, _ = stack.token.split(".")
    assert stack.get(Authorization=f"Bearer {head}.{claims}.forged") == 401
    assert (
        stack.get(Authorization="AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/execute-api/aws4_request") == 401
    )
    assert stack.get() == 401


def test_a_token_without_the_scope_of_a_route_is_refused(stack: Stack) -> None:
    scoped = f"Bearer {stack.token_with_a_scope}"
    assert stack.get("/mine", Authorization=scoped) == 200
    assert stack.get("/all", Authorization=scoped) == 403
    assert stack.get("/mine", Authorization=f"Bearer {stack.token}") == 403, "it has no scope at all"


def steps(stack: Stack) -> list[list[str]]:
    """The steps, with their versions, that the function was called with."""
    lines = stack.aws.logs(stack.outputs["Function"]).splitlines()
    return [line.split()[1:] for line in lines if line.startswith("step ")]


def test_a_schedule_that_does_not_rotate_immediately_tries_its_function_out(stack: Stack) -> None:
    deadline = time.monotonic() + 20
    while not (called := steps(stack)):
        assert time.monotonic() < deadline, stack.aws.log_file.read_text()[-3_000:]
        time.sleep(0.05)
    ((step, version),) = called
    assert step == "testSecret"
    secrets = stack.aws.client("secretsmanager")
    while version in secrets.describe_secret(SecretId=stack.outputs["Secret"])["VersionIdsToStages"]:
        assert time.monotonic() < deadline, "the version is removed"
        time.sleep(0.05)


def test_a_secret_is_rotated_by_its_function(stack: Stack) -> None:
    secrets = stack.aws.client("secretsmanager")
    described = secrets.describe_secret(SecretId=stack.outputs["Secret"])
    assert (described["RotationEnabled"], described["RotationRules"]) == (True, {"AutomaticallyAfterDays": 30})

    version = secrets.rotate_secret(SecretId=stack.outputs["Secret"])["VersionId"]

    steps = [f"step {step} {version}" for step in ("createSecret", "setSecret", "testSecret", "finishSecret")]
    deadline = time.monotonic() + 20
    while (lines := stack.aws.logs(stack.outputs["Function"]).splitlines())[-4:] != steps:
        assert time.monotonic() < deadline, lines
        time.sleep(0.05)
    assert secrets.get_secret_value(SecretId=stack.outputs["Secret"])["SecretString"] == "old", "the function's affair"
