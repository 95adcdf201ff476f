"""The local AWS does what the mends promise: each test failed, or would fail, on the emulator as it comes."""

import io
import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from worldflow.devtools.local_aws import LocalAws, LocalAwsError
from worldflow.devtools.local_aws.__main__ import explain
from worldflow.stacks import OUTPUTS

ROOT = Path(__file__).parents[2]

HANDLER = """
import json, os, sys, time

import boto3

calls = 0

def handler(event, context):
    global calls
    calls += 1
    if "routeKey" in event:
        seen = {key: event.get(key) for key in ("routeKey", "pathParameters", "queryStringParameters", "body")}
        if seen["body"] == "raise":
            raise ValueError("a secret")
        return {"statusCode": 201, "body": json.dumps({**seen, "key": event["headers"].get("idempotency-key")})}
    if "Records" in event:
        failed = [record["messageId"] for record in event["Records"] if not process(record)]
        return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in failed]}
    return globals()[event["do"]](event)

def process(record):
    body = json.loads(record["body"])
    attributes = record["attributes"]
    received = int(attributes["ApproximateReceiveCount"])
    begun = time.time()
    if received <= body.get("dies", 0):
        os.abort()
    time.sleep(body.get("takes", 0))
    ok = received > body.get("fails", 0)
    if ok:
        print(json.dumps({
            "group": attributes.get("MessageGroupId"), "number": body["number"], "received": received,
            "queue": record["eventSourceARN"].rsplit(":")[-1], "begun": begun, "ended": time.time(),
        }))
    return ok

def count(event): return calls
def fail(event): raise ValueError("boom")
def leave(event): sys.exit(1)
def wait(event): time.sleep(event["seconds"]); return "old"
def silent(event): pass
def environment(event): return dict(os.environ)
def load(event): __import__(event["module"])
def delete(event): boto3.client("dynamodb").batch_write_item(RequestItems={os.environ["TABLE"]: event["requests"]})
def put(event): boto3.client("dynamodb").put_item(TableName=os.environ["TABLE"], Item={"run_id": {"S": event["key"]}})
def send(event): return boto3.client("sqs").send_message_batch(**event["batch"])["Successful"]
def schedule(event): boto3.client("scheduler").create_schedule(**event["schedule"])
"""

ANY_CREDENTIALS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
ROLE = "arn:aws:iam::000000000000:role/scheduler"

TEMPLATE: dict[str, Any] = {
    "Transform": "AWS::Serverless-2016-10-31",
    "Resources": {
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "run_id", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "run_id", "KeyType": "HASH"}],
            },
        },
        "Dead": {"Type": "AWS::SQS::Queue", "Properties": {"FifoQueue": True}},
        "Runs": {
            "Type": "AWS::SQS::Queue",
            "Properties": {
                "FifoQueue": True,
                "ContentBasedDeduplication": True,
                "DeduplicationScope": "messageGroup",
                "FifoThroughputLimit": "perMessageGroupId",
                "VisibilityTimeout": 2,
                "RedrivePolicy": {"deadLetterTargetArn": {"Fn::GetAtt": "Dead.Arn"}, "maxReceiveCount": 2},
            },
        },
        "Timers": {"Type": "AWS::SQS::Queue"},
        "Query": {
            "Type": "AWS::Logs::QueryDefinition",
            "Properties": {"Name": "errors", "QueryString": 'filter level = "ERROR"'},
        },
        "Group": {"Type": "AWS::Scheduler::ScheduleGroup"},
        "Api": {
            "Type": "AWS::Serverless::HttpApi",
            "Properties": {"Auth": {"EnableIamAuthorizer": True, "DefaultAuthorizer": "AWS_IAM"}},
        },
        "Function": {
            "Type": "AWS::Serverless::Function",
            "Properties": {
                "InlineCode": HANDLER,
                "Handler": "index.handler",
                "Runtime": "python3.11",
                "Timeout": 2,
                "Environment": {"Variables": {"TABLE": {"Ref": "Table"}}},
                "Policies": [
                    {
                        "Version": "2012-10-17",
                        "Statement": [
                            {
                                "Effect": "Allow",
                                "Action": ["dynamodb:PutItem", "dynamodb:BatchWriteItem"],
                                "Resource": {"Fn::GetAtt": "Table.Arn"},
                                "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["step#*"]}},
                            },
                            {
                                "Effect": "Allow",
                                "Action": "sqs:SendMessage",
                                "Resource": {"Fn::GetAtt": "Timers.Arn"},
                            },
                            {
                                "Effect": "Allow",
                                "Action": "scheduler:CreateSchedule",
                                "Resource": {"Fn::Sub": "arn:aws:scheduler:*:*:schedule/${Group}/*"},
                            },
                            {"Effect": "Allow", "Action": "iam:PassRole", "Resource": ROLE},
                        ],
                    }
                ],
                "Events": {
                    **{
                        name: {
                            "Type": "SQS",
                            "Properties": {
                                "Queue": {"Fn::GetAtt": f"{name}.Arn"},
                                "BatchSize": 1,
                                "FunctionResponseTypes": ["ReportBatchItemFailures"],
                                "ScalingConfig": {"MaximumConcurrency": 4},
                            },
                        }
                        for name in ("Runs", "Dead", "Timers")
                    },
                    "Signal": {
                        "Type": "HttpApi",
                        "Properties": {
                            "ApiId": {"Ref": "Api"},
                            "Method": "POST",
                            "Path": "/runs/{run_id}/signals/{name}",
                        },
                    },
                },
            },
        },
    },
    "Outputs": {
        "Function": {"Value": {"Ref": "Function"}},
        "Group": {"Value": {"Ref": "Group"}},
        "Runs": {"Value": {"Ref": "Runs"}},
        "Timers": {"Value": {"Ref": "Timers"}},
        "TimersArn": {"Value": {"Fn::GetAtt": "Timers.Arn"}},
        "Api": {"Value": {"Fn::Sub": "https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}"}},
    },
}


class Stack:
    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        cloudformation = aws.client("cloudformation")
        cloudformation.create_stack(
            StackName="mends",
            TemplateBody=json.dumps(TEMPLATE),
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        cloudformation.get_waiter("stack_create_complete").wait(StackName="mends", WaiterConfig={"Delay": 1})
        outputs = cloudformation.describe_stacks(StackName="mends")["Stacks"][0]["Outputs"]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in outputs}
        self.function = self.outputs["Function"]
        self.lambdas, self.queues, self.schedules = (aws.client(name) for name in ("lambda", "sqs", "scheduler"))

    def invoke(self, do: str, **event: Any) -> Any:
        answer = self.lambdas.invoke(FunctionName=self.function, Payload=json.dumps({"do": do, **event}).encode())
        return json.load(answer["Payload"])

    def send(self, group: str, number: int = 0, **body: Any) -> None:
        self.queues.send_message(
            QueueUrl=self.outputs["Runs"], MessageBody=json.dumps({"number": number, **body}), MessageGroupId=group
        )

    def processed(self, *groups: str | None) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.aws.logs(self.function).splitlines() if line.startswith("{")]
        return sorted((line for line in lines if line["group"] in groups), key=lambda line: line["begun"])

    def post(self, path: str, body: str, *, signed: bool = True) -> tuple[int, Any]:
        url = self.aws.http_api_url(self.outputs["Api"]) + path
        headers = {"content-type": "application/json", "idempotency-key": "key"}
        request = AWSRequest(method="POST", url=url, data=body.encode(), headers=headers)
        if signed:
            SigV4Auth(Credentials("test", "test"), "execute-api", "us-east-1").add_auth(request)
        sent = urllib.request.Request(url, body.encode(), dict(request.headers), method="POST")
        try:
            with urllib.request.urlopen(sent) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with LocalAws(tmp_path_factory.mktemp("aws")) as aws:
        yield Stack(aws)


def eventually(read: Callable[[], Any], is_so: Callable[[Any], bool], seconds: float = 15) -> Any:
    deadline = time.monotonic() + seconds
    while not is_so(value := read()):
        assert time.monotonic() < deadline, value
        time.sleep(0.05)
    return value


def zipped(source: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.py", source)
    return buffer.getvalue()


# --------------------------------------------------------------------------------------------------------- the launcher


def test_another_version_of_ministack_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(metadata, "version", lambda _: "1.6.0")
    with pytest.raises(LocalAwsError, match=r"patches ministack 1\.5\.33, but 1\.6\.0 is installed"):
        LocalAws(tmp_path).start()


def test_a_port_in_use_is_refused(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(LocalAwsError, match="is in use"):
            LocalAws(tmp_path, taken.getsockname()[1]).start()


@pytest.mark.parametrize(("port", "command"), [(4566, "`make deploy-local`"), (4777, "`make deploy-local PORT=4777`")])
def test_the_way_to_deploy_has_the_port(
    port: int, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    explain(LocalAws(tmp_path, port))
    assert f"Deploy the template to it with {command}, " in capsys.readouterr().out


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_survives_the_launcher(tmp_path: Path, end: signal.Signals) -> None:
    command = [sys.executable, "-m", "worldflow.devtools.local_aws", "--port", "0", "--directory", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout is not None
        port = int(launcher.stdout.readline().split(";")[0].rsplit(":", 1)[1])
        with socket.socket() as connection:
            connection.connect(("127.0.0.1", port))
        launcher.send_signal(end)

    def listens() -> bool:
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", port)) == 0

    eventually(listens, lambda yes: not yes)


def test_a_stack_that_is_deployed_has_a_console(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "worldflow.devtools.local_aws", "--port", "0", "--directory", str(tmp_path)]
    outputs = {name: {"Value": "https://sqs.us-east-1.amazonaws.com/000000000000/any"} for name in OUTPUTS.values()}
    template = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}, "Outputs": outputs}
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout is not None
        endpoint = launcher.stdout.readline().split(";")[0].rsplit(" ", 1)[1]
        session: Any = boto3.session.Session(**ANY_CREDENTIALS, region_name="us-east-1")
        cloudformation = session.client("cloudformation", endpoint_url=endpoint)
        cloudformation.create_stack(StackName="other", TemplateBody=json.dumps({**template, "Outputs": {}}))
        cloudformation.create_stack(StackName="shop", TemplateBody=json.dumps(template))
        line = next(line for line in launcher.stdout if line.startswith("The console shows"))
        shown, url = line.strip().split(" at ")
        assert shown == "The console shows stack shop"
        with urllib.request.urlopen(f"{url}/start") as page:
            assert b"Worldflow" in page.read()
        template["Resources"]["Other"] = {"Type": "AWS::SQS::Queue"}
        cloudformation.update_stack(StackName="shop", TemplateBody=json.dumps(template))
        assert next(launcher.stdout) == line  # another process, with the code that is deployed now
        launcher.send_signal(signal.SIGKILL)

    def answers() -> bool:
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", int(url.rsplit(":")[-1]))) == 0

    eventually(answers, lambda yes: not yes)


# ------------------------------------------------------------------------------------------------------------ functions


def test_a_silent_handler_is_answered_at_once(stack: Stack) -> None:
    stack.invoke("silent")
    begun = time.monotonic()
    for _ in range(10):
        stack.invoke("silent")
    assert time.monotonic() - begun < 0.4


def test_a_handler_that_raises_stays_warm(stack: Stack) -> None:
    before = stack.invoke("count")
    assert stack.invoke("fail")["errorMessage"] == "ValueError: boom"
    assert stack.invoke("count") == before + 2


def test_a_handler_that_leaves_does_not(stack: Stack) -> None:
    assert "exited" in stack.invoke("leave")["errorMessage"]
    assert stack.invoke("count") == 1


def test_a_handler_that_takes_too_long_is_killed(stack: Stack) -> None:
    assert stack.invoke("wait", seconds=60)["errorMessage"] == "Task timed out after 2.00 seconds"


def test_a_function_has_its_own_environment_and_packages(stack: Stack) -> None:
    environment = stack.invoke("environment")
    assert environment["TABLE"].startswith("mends-Table")
    assert environment["AWS_ENDPOINT_URL"] == stack.aws.endpoint_url
    assert not {"HOME", "GATEWAY_PORT", "LOCAL_AWS_DIRECTORY"} & environment.keys()
    assert "No module named 'pytest'" in stack.invoke("load", module="pytest")["errorMessage"]


def test_an_invocation_outlives_an_update_of_its_function(stack: Stack) -> None:
    with ThreadPoolExecutor() as pool:
        invocation = pool.submit(stack.invoke, "wait", seconds=1)
        time.sleep(0.3)
        stack.lambdas.update_function_code(
            FunctionName=stack.function, ZipFile=zipped(HANDLER.replace('"old"', '"new"'))
        )
        assert stack.invoke("wait", seconds=0) == "new"
        assert invocation.result() == "old"


# --------------------------------------------------------------------------------------------------------------- queues


def test_message_groups_run_in_parallel_and_each_in_order(stack: Stack) -> None:
    groups = ["a", "b", "c", "d"]
    with ThreadPoolExecutor() as pool:  # four warm workers: a cold start may take as long as the visibility timeout
        list(pool.map(lambda _: stack.invoke("wait", seconds=1), groups))
    stack.aws.reset_usage()
    for number in range(3):
        for group in groups:
            stack.send(group, number, takes=0.2)
    processed = eventually(lambda: stack.processed(*groups), lambda found: len(found) == 12)
    assert any(one["begun"] < other["begun"] < one["ended"] for one in processed for other in processed)
    for group in groups:
        first, second, third = stack.processed(group)
        assert [first["number"], second["number"], third["number"]] == [0, 1, 2]
        assert first["ended"] <= second["begun"]
        assert second["ended"] <= third["begun"]
    usage = eventually(stack.aws.usage, lambda usage: usage.requests["sqs", "DeleteMessageBatch"] == 12)
    assert usage.requests["sqs", "SendMessage"] == usage.requests["lambda", "Invoke"] == 12
    assert usage.gb_seconds > 0


def test_no_message_is_lost_between_senders_and_event_sources(stack: Stack) -> None:
    def send_twenty(group: str) -> None:
        for number in range(20):
            stack.send(group, number)

    groups = [f"burst {number}" for number in range(4)]
    threads = [threading.Thread(target=send_twenty, args=[group]) for group in groups]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for group in groups:
        processed = eventually(lambda group=group: stack.processed(group), lambda found: len(found) == 20)  # type: ignore[misc]
        assert [line["number"] for line in processed] == list(range(20))


def test_what_failed_or_died_comes_back_and_its_group_waits(stack: Stack) -> None:
    stack.send("fails", 0, fails=1)
    stack.send("fails", 1)
    stack.send("dies", 0, dies=1)
    processed = eventually(lambda: stack.processed("fails", "dies"), lambda found: len(found) == 3)
    assert {(line["group"], line["number"], line["received"]) for line in processed} == {
        ("fails", 0, 2),
        ("fails", 1, 1),
        ("dies", 0, 2),
    }
    assert [line["number"] for line in stack.processed("fails")] == [0, 1]


def test_killed_workers_are_a_crash_of_the_function(stack: Stack) -> None:
    stack.send("killed", takes=1)
    eventually(lambda: stack.aws.kill_workers(stack.function), bool)
    stack.send("spared")
    eventually(lambda: stack.processed("killed", "spared"), lambda found: len(found) == 2)


def test_deliveries_are_counted(stack: Stack) -> None:
    queue = stack.outputs["Runs"].rsplit("/", 1)[-1]
    before = stack.aws.usage().deliveries
    stack.send("counted", fails=1)
    stack.send("buried", dies=1)
    eventually(lambda: stack.processed("counted", "buried"), lambda found: len(found) == 2)
    after = stack.aws.usage().deliveries
    fates = ("received", "received again", "lost")
    assert [after[queue, fate] - before[queue, fate] for fate in fates] == [4, 2, 1]


def test_what_always_dies_becomes_a_dead_letter(stack: Stack) -> None:
    stack.send("doomed", dies=2)
    (line,) = eventually(lambda: stack.processed("doomed"), bool)
    assert "Dead" in line["queue"]
    assert line["received"] == 3  # a dead letter's receives go on being counted


def test_a_delay_is_kept_and_bounded(stack: Stack) -> None:
    begun = time.time()
    stack.queues.send_message(QueueUrl=stack.outputs["Timers"], MessageBody='{"number": 1}', DelaySeconds=1)
    (line,) = eventually(lambda: [x for x in stack.processed(None) if x["number"] == 1], bool)
    assert 1 <= line["begun"] - begun < 1.8
    with pytest.raises(stack.queues.exceptions.ClientError, match="DelaySeconds must be"):
        stack.queues.send_message(QueueUrl=stack.outputs["Timers"], MessageBody="{}", DelaySeconds=901)


# ------------------------------------------------------------------------------------------------------ Scheduler, API


def test_a_schedule_fires_once_and_in_time(stack: Stack) -> None:
    due = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    schedule = {
        "Name": "timer",
        "ScheduleExpression": f"at({due:%Y-%m-%dT%H:%M:%S})",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "ActionAfterCompletion": "DELETE",
        "Target": {
            "Arn": stack.outputs["TimersArn"],
            "RoleArn": ROLE,
            "Input": '{"number": 2}',
        },
    }
    first = stack.schedules.create_schedule(**schedule, ClientToken="once")
    assert stack.schedules.create_schedule(**schedule, ClientToken="once")["ScheduleArn"] == first["ScheduleArn"]
    with pytest.raises(stack.schedules.exceptions.ConflictException):
        stack.schedules.create_schedule(**schedule)
    (line,) = eventually(lambda: [x for x in stack.processed(None) if x["number"] == 2], bool)
    assert 0 <= line["begun"] - due.timestamp() < 1.5
    eventually(stack.schedules.list_schedules, lambda found: not found["Schedules"])


def test_an_input_has_the_time_that_was_scheduled(stack: Stack) -> None:
    due = f"{datetime.now(UTC) - timedelta(seconds=1):%Y-%m-%dT%H:%M:%S}"
    schedule = {
        "Name": "due",
        "ScheduleExpression": f"at({due})",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {
            "Arn": stack.outputs["TimersArn"],
            "RoleArn": ROLE,
            "Input": '{"number": "<aws.scheduler.scheduled-time>"}',
        },
    }
    stack.schedules.create_schedule(**schedule)
    eventually(lambda: [line["number"] for line in stack.processed(None)], lambda numbers: f"{due}Z" in numbers)
    with pytest.raises(stack.schedules.exceptions.ValidationException, match="UTC only, not Asia/Tokyo"):
        stack.schedules.update_schedule(**schedule, ScheduleExpressionTimezone="Asia/Tokyo")


def test_the_routes_of_an_http_api_work(stack: Stack) -> None:
    status, answer = stack.post("/runs/order~2/signals/approval?a=1&b=x%20y", '{"ok":true}')
    assert status == 201
    assert answer == {
        "routeKey": "POST /runs/{run_id}/signals/{name}",
        "pathParameters": {"run_id": "order~2", "name": "approval"},
        "queryStringParameters": {"a": "1", "b": "x y"},
        "body": '{"ok":true}',
        "key": "key",
    }
    assert stack.post("/runs/1/signals/x", "{}", signed=False)[0] == 403
    assert stack.post("/nowhere", "{}")[0] == 404
    assert stack.post("/runs/1/signals/x", "raise") == (500, {"message": "Internal Server Error"})


# ------------------------------------------------------------------------------------------------------------------ IAM


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with LocalAws(tmp_path_factory.mktemp("guarded"), enforce_iam=True) as aws:
        yield Stack(aws)


def test_leading_keys_are_enforced(guarded: Stack) -> None:
    assert guarded.invoke("put", key="step#1") is None
    assert "AccessDenied" in guarded.invoke("put", key="run")["errorMessage"]
    assert guarded.aws.usage().write_units == 1


def test_leading_keys_are_enforced_in_batches(guarded: Stack) -> None:
    requests = [{"DeleteRequest": {"Key": {"run_id": {"S": key}}}} for key in ("step#2", "run")]
    assert guarded.invoke("delete", requests=requests[:1]) is None
    assert "AccessDenied" in guarded.invoke("delete", requests=requests)["errorMessage"]


def test_the_credentials_of_a_function_are_those_of_its_role(guarded: Stack) -> None:
    credentials = guarded.aws.credentials(guarded.function)
    session = boto3.session.Session(**credentials, region_name="us-east-1")
    with pytest.raises(ClientError, match="AccessDenied"):
        session.client("sqs", endpoint_url=guarded.aws.endpoint_url).list_queues()
    environment = guarded.invoke("environment")
    assert {name: environment[name.upper()] for name in credentials} == credentials


def test_who_may_send_may_send_batches(guarded: Stack) -> None:
    batch = {"QueueUrl": guarded.outputs["Timers"], "Entries": [{"Id": "1", "MessageBody": '{"number": 1}'}]}
    assert guarded.invoke("send", batch=batch)[0]["Id"] == "1"
    elsewhere = {**batch, "QueueUrl": guarded.outputs["Runs"]}
    assert "AccessDenied" in guarded.invoke("send", batch=elsewhere)["errorMessage"]


def test_schedules_are_guarded_by_their_group_and_their_role(guarded: Stack) -> None:
    schedule: dict[str, Any] = {
        "Name": "timer",
        "GroupName": guarded.outputs["Group"],
        "ScheduleExpression": "at(2100-01-01T00:00:00)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {"Arn": guarded.outputs["TimersArn"], "RoleArn": ROLE},
    }
    assert guarded.invoke("schedule", schedule=schedule) is None
    elsewhere = {**schedule, "GroupName": "default"}
    assert "scheduler:CreateSchedule" in guarded.invoke("schedule", schedule=elsewhere)["errorMessage"]
    other_role = {**schedule, "Target": {**schedule["Target"], "RoleArn": f"{ROLE}-of-another"}}
    assert "iam:PassRole" in guarded.invoke("schedule", schedule=other_role)["errorMessage"]
