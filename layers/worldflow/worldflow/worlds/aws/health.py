"""The health of a stack: what waits in its queues and for how long, when it was last swept, its oldest open run."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from worldflow.engine.privacy import described
from worldflow.worlds.aws.listing import AWSListing
from worldflow.worlds.aws.messages import queue_name
from worldflow.worlds.aws.world import AWSWorld
from worldflow.worlds.records import RunRecord

_log = logging.getLogger("worldflow")

_WITHIN = timedelta(minutes=15)
"""How far back the age of a queue's oldest message is looked for."""
SWEEPS_WITHIN = timedelta(days=1)
"""How far back the last sweep is looked for."""
_NUMBERS = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
_CARETAKER = "CaretakerFunction"


@dataclass(frozen=True, slots=True)
class StackHealth:
    queues: Mapping[str, tuple[int, int, float | None]]
    """Messages that wait and that are in flight, and the age of the oldest in seconds where CloudWatch has it."""
    swept_at: datetime | None
    """When the caretaker was last called without an error; None if not within a day, or if CloudWatch does not say."""
    oldest: RunRecord | None
    """The open run that was created first."""


def health_of(world: AWSWorld) -> StackHealth:
    """What the operator may not ask is left out."""
    settings = world.settings
    urls = {"runs": settings.run_queue_url, "steps": settings.step_queue_url, "timers": settings.timer_queue_url}
    urls |= {f"steps {name}": settings.url_of_step_queue(name) for name in settings.step_queues}
    try:
        numbers = {name: _numbers(world, url) for name, url in urls.items()}
    except (BotoCoreError, ClientError) as error:
        _log.warning("the queues could not be read: %s", described(error))
        numbers = {}
    found = _metrics(world, {name: queue_name(urls[name]) for name in numbers})
    ages = {answer["Id"]: float(answer["Values"][0]) for answer in found if answer["Values"]}
    queues = {name: (*of_queue, ages.get(_id(name))) for name, of_queue in numbers.items()}
    return StackHealth(queues, _swept_at(world, found), AWSListing(world.access).oldest("running"))


def _numbers(world: AWSWorld, url: str) -> tuple[int, int]:
    found = world.access.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=_NUMBERS)["Attributes"]
    waiting, in_flight = (int(found[name]) for name in _NUMBERS)
    return waiting, in_flight


def _metrics(world: AWSWorld, queues: Mapping[str, str]) -> list[Any]:
    """The ages of the oldest messages of queues, and the calls and errors of all caretakers: newest values first."""
    now = world.now()
    try:
        cloudwatch: Any = world.access.session.client("cloudwatch")
        asked = [(now - _WITHIN, [_age_of(name, queue) for name, queue in queues.items()])]
        asked.append((now - SWEEPS_WITHIN, [_calls_of_caretakers(metric) for metric in ("Invocations", "Errors")]))
        found: list[Any] = []
        for since, queries in asked:
            if queries:
                answer = cloudwatch.get_metric_data(MetricDataQueries=queries, StartTime=since, EndTime=now)
                found += answer["MetricDataResults"]
        return found
    except (BotoCoreError, ClientError) as error:
        _log.warning("the metrics of the stack could not be read: %s", described(error))
        return []


def _age_of(name: str, queue: str) -> dict[str, Any]:
    metric = {"Namespace": "AWS/SQS", "MetricName": "ApproximateAgeOfOldestMessage"}
    dimensions = [{"Name": "QueueName", "Value": queue}]
    stat = {"Metric": {**metric, "Dimensions": dimensions}, "Period": 60, "Stat": "Maximum"}
    return {"Id": _id(name), "MetricStat": stat}


def _id(queue: str) -> str:
    """As CloudWatch takes it."""
    return re.sub(r"\W", "_", queue)


def _calls_of_caretakers(metric: str) -> dict[str, Any]:
    # By a search, as the full name of the function is known to CloudFormation alone.
    search = f"""SEARCH('{{AWS/Lambda,FunctionName}} MetricName="{metric}" {_CARETAKER}', 'Sum', 60)"""
    return {"Id": metric.lower(), "Expression": search, "Label": "${PROP('Dim.FunctionName')}"}


def _swept_at(world: AWSWorld, found: list[Any]) -> datetime | None:
    """The last call of this stack's caretaker that had no error. Secrets Manager calls it too, a few times a year."""
    name = f"{world.settings.runs_table.partition('-RunsTable')[0]}-{_CARETAKER}"
    times: dict[str, set[datetime]] = {"invocations": set(), "errors": set()}
    for answer in found:
        if answer["Id"] in times and answer["Label"].startswith(name):
            counted = zip(answer["Timestamps"], answer["Values"], strict=True)
            times[answer["Id"]] |= {moment for moment, number in counted if number}
    return max(times["invocations"] - times["errors"], default=None)
