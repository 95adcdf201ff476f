"""The queues of a stack: what waits in each, and for how long."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from worldflow.engine.privacy import described
from worldflow.worlds.aws.messages import queue_name
from worldflow.worlds.aws.world import AWSWorld

_log = logging.getLogger("worldflow")

_WITHIN = timedelta(minutes=15)
_NUMBERS = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]


def queues_of(world: AWSWorld) -> dict[str, tuple[int, int, float | None]]:
    """Messages that wait and that are in flight, and the age of the oldest in seconds where CloudWatch has it: what the
    operator may not ask is left out.
    """
    settings = world.settings
    urls = {"runs": settings.run_queue_url, "steps": settings.step_queue_url, "timers": settings.timer_queue_url}
    try:
        numbers = {name: _numbers(world, url) for name, url in urls.items()}
    except (BotoCoreError, ClientError) as error:
        _log.warning("the queues could not be read: %s", described(error))
        return {}
    ages = _ages(world, {name: queue_name(url) for name, url in urls.items()})
    return {name: (*found, ages.get(name)) for name, found in numbers.items()}


def _numbers(world: AWSWorld, url: str) -> tuple[int, int]:
    found = world.access.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=_NUMBERS)["Attributes"]
    waiting, in_flight = (int(found[name]) for name in _NUMBERS)
    return waiting, in_flight


def _ages(world: AWSWorld, names: Mapping[str, str]) -> dict[str, float]:
    """The age of the oldest message of each queue, of the last minutes for which there is a figure."""
    metric = {"Namespace": "AWS/SQS", "MetricName": "ApproximateAgeOfOldestMessage"}
    asked: list[Any] = [
        {
            "Id": name,
            "MetricStat": {
                "Metric": {**metric, "Dimensions": [{"Name": "QueueName", "Value": queue}]},
                "Period": 60,
                "Stat": "Maximum",
            },
        }
        for name, queue in names.items()
    ]
    now = world.now()
    try:
        cloudwatch: Any = world.access.session.client("cloudwatch")
        answer = cloudwatch.get_metric_data(MetricDataQueries=asked, StartTime=now - _WITHIN, EndTime=now)
    except (BotoCoreError, ClientError) as error:
        _log.warning("the ages of messages could not be read: %s", described(error))
        return {}
    return {found["Id"]: float(found["Values"][0]) for found in answer["MetricDataResults"] if found["Values"]}
