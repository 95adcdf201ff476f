"""Who is told what: alarms, the dashboard and the saved queries, and the metrics that they are made of."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest

from tests.infrastructure.stack import ROOT, TEMPLATE, Stack, target
from worldflow.serving.metrics import METRICS

OWN = "Worldflow/${AWS::StackName}"
OFFERED = {
    "AWS/ApiGateway": ("ApiId", "ApiGatewayV2::Api", {"5xx", "4xx", "Count"}),
    "AWS/DynamoDB": ("TableName", "DynamoDB::Table", {"ReadThrottleEvents", "WriteThrottleEvents"}),
    "AWS/Events": ("RuleName", "Events::Rule", {"FailedInvocations"}),
    "AWS/Lambda": ("FunctionName", "Lambda::Function", {"Errors", "Throttles", "ConcurrentExecutions"}),
    "AWS/SQS": (
        "QueueName",
        "SQS::Queue",
        {"ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"},
    ),
    "AWS/Scheduler": ("ScheduleGroup", "Scheduler::ScheduleGroup", {"InvocationsFailedToBeSentToDeadLetterCount"}),
}
"""Namespaces of AWS: the dimension, what it names, and metrics as the services' documentation lists them."""


class Watched(NamedTuple):
    """A metric that an alarm or the dashboard shows."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]


def watched_by(alarm: Mapping[str, Any]) -> Watched:
    namespace = alarm["Namespace"]
    dimensions = tuple((one["Name"], _named(one["Value"])) for one in alarm["Dimensions"])
    return Watched(namespace["Fn::Sub"] if isinstance(namespace, dict) else namespace, alarm["MetricName"], dimensions)


def _named(value: Any) -> str:
    return value if isinstance(value, str) else target(value)


def dashboard() -> dict[str, Any]:
    body, tables = Stack(Dashboard="true")["StackDashboard"]["DashboardBody"]["Fn::Sub"]
    for name, table in tables.items():
        body = body.replace(f"${{{name}}}", f"${{{table['Ref']}}}")
    parsed: dict[str, Any] = json.loads(body)
    return parsed


def shown() -> Iterator[Watched]:
    """The metrics on the dashboard."""
    for widget in dashboard()["widgets"]:
        before: list[str] = []
        for entry in widget["properties"]["metrics"]:
            if isinstance(entry[0], dict):
                namespace, dimensions, name = re.fullmatch(
                    r"""SEARCH\('\{(.+?),([\w,]+)\} MetricName="(\w+)"', 'Sum', 300\)""", entry[0]["expression"]
                ).groups()  # type: ignore[union-attr]
                yield Watched(namespace, name, tuple((one, "") for one in dimensions.split(",")))
                continue
            fields = [part for part in entry if isinstance(part, str)]
            if fields == ["..."]:
                fields = before
            before = [old if new == "." else new for new, old in zip(fields, before or fields, strict=True)]
            namespace, name, *rest = before
            pairs = zip(rest[::2], rest[1::2], strict=True)
            yield Watched(namespace, name, tuple((one, _resource(value)) for one, value in pairs))


def _resource(value: str) -> str:
    match = re.fullmatch(r"\$\{(\w+)(\.\w+)?\}", value)
    return match[1] if match else value


@pytest.fixture(scope="module")
def alarms() -> dict[str, Mapping[str, Any]]:
    return Stack(AlarmEmail="ops@example.com").all("CloudWatch::Alarm")  # type: ignore[return-value]


@pytest.fixture(scope="module")
def watched(alarms: dict[str, Mapping[str, Any]]) -> list[Watched]:
    return [watched_by(alarm) for alarm in alarms.values()]


# --- what is told ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("namespace", "name", "resource"),
    [
        (OWN, "BlockedRuns", "worldflow"),
        (OWN, "DeadLetters", "worldflow"),
        (OWN, "LongHistories", "worldflow"),
        (OWN, "MessagesFailed", "worldflow"),
        (OWN, "RequestsThrottled", "worldflow"),
        ("AWS/ApiGateway", "5xx", "Api"),
        ("AWS/ApiGateway", "5xx", "WebhookApi"),
        ("AWS/Events", "FailedInvocations", "CaretakerFunctionHourly"),
        ("AWS/Lambda", "Errors", "CaretakerFunction"),
        ("AWS/Lambda", "Errors", "OrchestratorFunction"),
        ("AWS/Lambda", "Errors", "StepExecutorFunction"),
        ("AWS/Lambda", "Throttles", "OrchestratorFunction"),
        ("AWS/Lambda", "Throttles", "StepExecutorFunction"),
        ("AWS/SQS", "ApproximateAgeOfOldestMessage", "RunQueue"),
        ("AWS/SQS", "ApproximateAgeOfOldestMessage", "StepQueue"),
        ("AWS/SQS", "ApproximateAgeOfOldestMessage", "TimerQueue"),
        ("AWS/Scheduler", "InvocationsFailedToBeSentToDeadLetterCount", "SchedulerGroup"),
    ],
)
def test_an_alarm_watches(watched: list[Watched], namespace: str, name: str, resource: str) -> None:
    assert [one for one in watched if one[:2] == (namespace, name) and one.dimensions[0][1] == resource]


def test_the_alarms_of_an_idle_stack_cost_less_than_two_dollars(watched: list[Watched]) -> None:
    """$0.10 a month for each metric that an alarm watches; and none is watched twice."""
    assert max(Counter(watched).values()) == 1
    assert len(watched) <= 17


def test_every_alarm_sounds_and_is_over_and_says_what_to_do(alarms: dict[str, Mapping[str, Any]]) -> None:
    silent = Stack().all("CloudWatch::Alarm")
    for name, alarm in alarms.items():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "AlarmTopic"}]
        assert not {"AlarmActions", "OKActions"} & silent[name].keys()
        assert alarm["TreatMissingData"] == "notBreaching"
        assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
        text = alarm["AlarmDescription"]
        assert text.count(". ") >= 1 and text.endswith(".") and len(text) <= 1_024, name


def test_the_topic_has_the_address_and_is_there_only_with_one() -> None:
    assert Stack(AlarmEmail="ops@example.com")["AlarmTopic"]["Subscription"] == [
        {"Protocol": "email", "Endpoint": "ops@example.com"}
    ]
    assert "AlarmTopic" not in Stack().resources


def test_the_blocked_runs_are_reported_until_there_is_none(alarms: dict[str, Mapping[str, Any]]) -> None:
    """The caretaker tells once an hour: the alarm looks back further, and sounds at the first."""
    alarm = alarms["BlockedRunsAlarm"]
    assert alarm["Period"] * alarm["EvaluationPeriods"] > 3_600
    assert (alarm["Statistic"], alarm["DatapointsToAlarm"], alarm["Threshold"]) == ("Maximum", 1, 0)


def test_a_queue_is_old_only_behind_what_its_messages_wait_by_themselves(
    alarms: dict[str, Mapping[str, Any]],
) -> None:
    stack = Stack(StepTimeout=900)
    assert alarms["RunQueueAgeAlarm"]["Threshold"] > 3 * stack["RunQueue"]["VisibilityTimeout"]
    assert alarms["StepQueueAgeAlarm"]["Threshold"] >= 2 * stack["StepQueue"]["VisibilityTimeout"]
    assert alarms["TimerQueueAgeAlarm"]["Threshold"] >= 2 * 900  # DelaySeconds at its longest


@pytest.mark.parametrize("queue", ["RunQueue", "StepQueue", "TimerQueue"])
def test_old_messages_are_told_as_of_a_consumer_that_is_off_or_too_small(
    alarms: dict[str, Mapping[str, Any]], queue: str
) -> None:
    """And not as of one that is broken: SQS leaves what was received three times out of the age."""
    text = alarms[f"{queue}AgeAlarm"]["AlarmDescription"]
    for cause in ("event source mapping is enabled", "throttled", "MaximumConcurrency"):
        assert cause in text
    assert not re.search(r"broken|died|dies|death", text)
    assert "received three times" in " ".join(OPERATING.split())


# --- that it is there -----------------------------------------------------------------------------------------------


def test_what_an_alarm_or_the_dashboard_names_is_written_by_the_code(watched: list[Watched]) -> None:
    for metric in [*watched, *shown()]:
        if metric.namespace == OWN:
            assert tuple(name for name, _ in metric.dimensions) == METRICS[metric.name].dimensions
            assert metric.dimensions[0][1] in ("worldflow", "")


def test_the_code_writes_nothing_that_nobody_is_shown(watched: list[Watched]) -> None:
    assert {metric.name for metric in shown() if metric.namespace == OWN} == METRICS.keys()


def test_what_an_alarm_or_the_dashboard_names_is_offered_by_aws(watched: list[Watched]) -> None:
    stack = Stack()
    for metric in [*watched, *shown()]:
        if metric.namespace != OWN:
            dimension, kind, names = OFFERED[metric.namespace]
            ((named, resource),) = metric.dimensions
            assert (named, metric.name in names) == (dimension, True), metric
            assert resource in stack.all(kind), metric


def test_no_metric_is_made_of_the_sentences_of_a_log(stack: Stack) -> None:
    assert "AWS::Logs::MetricFilter" not in {resource["Type"] for resource in stack.resources.values()}


def test_two_stacks_have_metrics_of_their_own(stack: Stack) -> None:
    namespaces = {
        str(function["Environment"]["Variables"]["POWERTOOLS_METRICS_NAMESPACE"])
        for function in stack.all("Lambda::Function").values()
    }
    assert namespaces == {str({"Fn::Sub": OWN})}


# --- the dashboard and the queries ----------------------------------------------------------------------------------


def test_the_dashboard_is_there_only_when_it_is_paid_for() -> None:
    assert TEMPLATE["Parameters"]["Dashboard"]["Default"] == "false"
    assert "StackDashboard" not in Stack().resources
    assert len(dashboard()["widgets"]) == 12


@pytest.mark.parametrize("widget", range(12))
def test_a_widget_says_what_it_shows(widget: int) -> None:
    properties = dashboard()["widgets"][widget]["properties"]
    assert properties["title"] and properties["region"] == "${AWS::Region}" and properties["metrics"]


def test_these_queries_are_saved(stack: Stack) -> None:
    saved = stack.all("Logs::QueryDefinition").keys()
    assert saved == {"TroubleQuery", "RunQuery", "RunsInTroubleQuery", "ApiQuery"}


def test_the_queries_are_of_logs_that_are_there(stack: Stack) -> None:
    groups = stack.all("Logs::LogGroup")
    for query in stack.all("Logs::QueryDefinition").values():
        assert {target(group) for group in query["LogGroupNames"]} <= groups.keys()
        assert query["Name"]["Fn::Sub"].startswith("${AWS::StackName}/")


def test_the_queries_ask_for_fields_that_the_logs_have(stack: Stack) -> None:
    of_functions = {"@timestamp", "service", "level", "run_id", "step_id", "attempt", "message", "exception_name"}
    of_functions |= {"exception", "type"}
    words = {"filter", "fields", "sort", "stats", "limit", "by", "desc", "in", "and", "or", "as", "count", "latest"}
    words |= {"max", "ispresent"}
    for name, query in stack.all("Logs::QueryDefinition").items():
        fields = of_functions
        if name == "ApiQuery":
            (access,) = {
                stage["AccessLogSettings"]["Format"]
                for id, stage in stack.all("ApiGatewayV2::Stage").items()
                if id != "WebhookStage"
            }
            fields = set(re.findall(r'"(\w+)":', access))
        text = re.sub(r'"[^"]*"', "", query["QueryString"])
        made = set(re.findall(r" as (\w+)", text))
        used = set(re.findall(r"@?[A-Za-z_]\w*", text))
        assert used - words - made <= fields, name


# --- the documentation ----------------------------------------------------------------------------------------------

OPERATING = (ROOT / "docs/guide/operating.md").read_text()


def rows(heading: str) -> dict[str, list[str]]:
    """The first table under a heading, by its first column."""
    (table,) = re.findall(rf"^\| {heading} \|.*\n\|[-|]+\n((?:\|.*\n)+)", OPERATING, re.MULTILINE)
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return {first.strip("`"): others for first, *others in cells}


def test_the_guide_has_each_metric_with_its_unit_and_dimensions() -> None:
    told = {name: (unit, ("service", *re.findall(r"`(\w+)`", own))) for name, (unit, own, _) in rows("metric").items()}
    assert told == METRICS


def test_the_guide_has_each_alarm() -> None:
    assert rows("alarm").keys() == Stack(EventBusName="orders", RunRecords="true").all("CloudWatch::Alarm").keys()
