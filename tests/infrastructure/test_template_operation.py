"""What whoever operates a stack counts on: logs, outputs, parameters, and names that never collide."""

import pytest

from tests.infrastructure.stack import ROOT, TEMPLATE, Stack, target
from worldflow import stacks

OUTPUTS = {
    "ApiUrl": {"Fn::Sub": "https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}"},
    "WebhookUrl": {"Fn::Sub": "https://${WebhookApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}/webhooks"},
    "WebhookApiId": {"Ref": "WebhookApi"},
    "WebhookSecretArn": {"Fn::GetAtt": ["WebhookSecret", "Id"]},
    "EventsTableName": {"Ref": "EventsTable"},
    "RunsTableName": {"Ref": "RunsTable"},
    "RunQueueUrl": {"Ref": "RunQueue"},
    "StepQueueUrl": {"Ref": "StepQueue"},
    "TimerQueueUrl": {"Ref": "TimerQueue"},
    "TimerQueueArn": {"Fn::GetAtt": ["TimerQueue", "Arn"]},
    "TimerDeadLetterQueueArn": {"Fn::GetAtt": ["TimerDeadLetterQueue", "Arn"]},
    "RunDeadLetterQueueUrl": {"Ref": "RunDeadLetterQueue"},
    "StepDeadLetterQueueUrl": {"Ref": "StepDeadLetterQueue"},
    "TimerDeadLetterQueueUrl": {"Ref": "TimerDeadLetterQueue"},
    "SchedulerGroupName": {"Ref": "SchedulerGroup"},
    "SchedulerRoleArn": {"Fn::GetAtt": ["SchedulerRole", "Arn"]},
    "PayloadBucketName": {"Ref": "PayloadBucket"},
    "OrchestratorFunctionName": {"Ref": "OrchestratorFunction"},
    "StepExecutorFunctionName": {"Ref": "StepExecutorFunction"},
    "SignalFunctionName": {"Ref": "SignalFunction"},
    "CaretakerFunctionName": {"Ref": "CaretakerFunction"},
    "StartPolicyArn": {"Ref": "StartPolicy"},
    "ReadPolicyArn": {"Ref": "ReadPolicy"},
    "OperatePolicyArn": {"Ref": "OperatePolicy"},
}
# Properties that give a resource a name which no second one in the account may have.
NAMES = {
    "AlarmName",
    "BucketName",
    "FunctionName",
    "LayerName",
    "LogGroupName",
    "Name",
    "QueueName",
    "RoleName",
    "TableName",
    "TopicName",
}
# What has such a property and means the name of something else.
REFERRING = {
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Permission",
}


def test_every_log_is_kept_as_long_as_the_parameter_says() -> None:
    stack = Stack(LogRetentionDays=90)
    for group in stack.all("Logs::LogGroup").values():
        assert group["RetentionInDays"] == 90


def test_every_function_writes_to_a_log_group_of_its_own_and_both_apis_to_one(stack: Stack) -> None:
    used = [target(function["LoggingConfig"]["LogGroup"]) for function in stack.all("Lambda::Function").values()]
    used += {
        target(stage["AccessLogSettings"]["DestinationArn"]) for stage in stack.all("ApiGatewayV2::Stage").values()
    }
    assert sorted(used) == sorted(stack.all("Logs::LogGroup"))


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR"])
def test_lambda_writes_only_of_invocations_that_went_wrong_and_lets_metrics_pass(level: str) -> None:
    for function in Stack(LogLevel=level).all("Lambda::Function").values():
        logging = function["LoggingConfig"]
        assert (logging["LogFormat"], logging["SystemLogLevel"]) == ("JSON", "WARN")
        # A line without a level, as those of metrics are, counts as INFO.
        assert logging["ApplicationLogLevel"] == ("DEBUG" if level == "DEBUG" else "INFO")


def test_the_caretaker_comes_every_hour_and_once(stack: Stack) -> None:
    (rule,) = stack.all("Events::Rule").values()
    assert rule["ScheduleExpression"] == "cron(17 * * * ? *)"
    assert rule.get("State", "ENABLED") == "ENABLED"
    assert [target(to["Arn"]) for to in rule["Targets"]] == ["CaretakerFunction"]
    (config,) = stack.all("Lambda::EventInvokeConfig").values()
    assert target(config["FunctionName"]) == "CaretakerFunction"
    assert config["MaximumRetryAttempts"] == 0


def test_the_key_of_webhooks_is_changed_unless_told_otherwise() -> None:
    stack = Stack(WebhookKeyDays=30)
    (rotation,) = stack.all("SecretsManager::RotationSchedule").values()
    assert target(rotation["SecretId"]) == "WebhookSecret"
    assert target(rotation["RotationLambdaARN"]) == "CaretakerFunction"
    assert rotation["RotationRules"] == {"AutomaticallyAfterDays": 30}
    assert rotation["RotateImmediatelyOnUpdate"] is False
    never = Stack(WebhookKeyDays=0).resources
    assert not {"WebhookSecretRotation", "CaretakerRotationPermission"} & never.keys()


def test_secrets_manager_may_call_the_caretaker_for_this_secret(stack: Stack) -> None:
    permission = stack["CaretakerRotationPermission"]
    assert permission["Principal"] == "secretsmanager.amazonaws.com"
    assert target(permission["SourceArn"]) == "WebhookSecret"
    assert permission["SourceAccount"] == {"Ref": "AWS::AccountId"}
    assert stack.resources["WebhookSecretRotation"]["DependsOn"] == "CaretakerRotationPermission"


def test_the_outputs_name_everything_that_an_application_needs(stack: Stack) -> None:
    assert stack.outputs == OUTPUTS


def test_an_output_says_of_which_variable_it_is() -> None:
    described = {name: output["Description"].split()[0] for name, output in TEMPLATE["Outputs"].items()}
    told = {variable: name for name, variable in described.items() if variable.startswith("WORLDFLOW_")}
    assert told == {variable: name for variable, name in stacks.OUTPUTS.items() if name != "ApiUrl"}


def test_the_address_of_the_api_comes_with_how_to_call_it() -> None:
    described = TEMPLATE["Outputs"]["ApiUrl"]["Description"]
    assert "a bearer token if JwtIssuer is set, otherwise a SigV4 signature" in described


def test_the_page_on_deploying_lists_the_variables_with_their_outputs() -> None:
    page = (ROOT / "docs/guide/deploying.md").read_text()
    for variable, output in stacks.OUTPUTS.items():
        assert f"`{variable}`" in page, variable
        assert variable in stacks.OF_APPLICATIONS_ONLY or f"`{output}`" in page, output


@pytest.mark.parametrize("section", ["Parameters", "Outputs"])
def test_everything_that_a_person_sees_is_described(section: str) -> None:
    assert [name for name, entry in TEMPLATE[section].items() if not entry.get("Description", "").endswith(".")] == []


def test_every_parameter_has_a_default_and_a_place_in_the_console() -> None:
    groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    shown = [name for group in groups for name in group["Parameters"]]
    assert sorted(shown) == sorted(TEMPLATE["Parameters"])
    for name, parameter in TEMPLATE["Parameters"].items():
        assert parameter["Default"] in parameter.get("AllowedValues", [parameter["Default"]]), name


def test_an_account_can_hold_two_stacks(stack: Stack) -> None:
    named = {
        id: [resource["Properties"][name] for name in NAMES & resource.get("Properties", {}).keys()]
        for id, resource in stack.resources.items()
        if resource["Type"] not in REFERRING
    }
    assert {id: names for id, names in named.items() if not all("${AWS::StackName}" in str(n) for n in names)} == {}


def test_the_template_needs_no_yaml_that_cloudformation_lacks() -> None:
    lines = (ROOT / "template.yaml").read_text().splitlines()
    code = [line.partition(" #")[0] for line in lines]
    assert [line for line in code if ": &" in line or ": *" in line or "<<:" in line or "- &" in line] == []
