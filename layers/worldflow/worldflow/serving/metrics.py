"""The metrics of a stack: counted while a function works, and written to its log in one line when it is done.

The line is in CloudWatch's embedded metric format, and Powertools writes it. A log is paid for by the byte and a metric
by the hour in which it has a value, so zeros are left out, and so is the line where nothing is left. Runs that start or
end are counted by workflow and outcome; of a second workflow in one invocation there is a second line.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics.functions import is_metrics_disabled
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from worldflow.engine.errors import WorkflowNotFoundError
from worldflow.engine.history import Ended, RunFailed, end_status
from worldflow.engine.history.failures import is_benign
from worldflow.engine.privacy import loggable
from worldflow.engine.workflow.definitions import find_workflow
from worldflow.serving.outages import LIFE_RECEIVES
from worldflow.serving.powertools import Handler
from worldflow.turns.observer import Attempt, Blocked, Commit, Observer, TurnReport

if TYPE_CHECKING:
    from worldflow.turns.observer import SweepReport
    from worldflow.worlds.aws.world import AWSWorld

UNKNOWN = "(unknown)"
"""Stands for the names of workflows that no module defines: callers could make up as many as they like,
and each would be a metric.
"""
ANY_NAME = "(dynamic)"
"""Stands for the names that the dynamic workflow takes, for the same reason."""

_log = logging.getLogger("worldflow")

_MOST_SAMPLES = 99
"""Values of one metric in a line, of which CloudWatch takes 100. An invocation has a few: as many as messages."""

_PRECISION = 1
"""Digits after a millisecond."""


class Metric(NamedTuple):
    """The definition of a metric for CloudWatch."""

    unit: str
    dimensions: tuple[str, ...] = ("service",)


METRICS = {
    "RunsStarted": Metric("Count", ("service", "workflow")),
    "RunsEnded": Metric("Count", ("service", "workflow", "outcome")),
    "RunsBlocked": Metric("Count"),
    "BlockedRuns": Metric("Count"),
    "TurnTime": Metric("Milliseconds"),
    "EventsReplayed": Metric("Count"),
    "LongHistories": Metric("Count"),
    "ReplaysThatDiffer": Metric("Count"),
    "StepScheduleToStart": Metric("Milliseconds"),
    "MessagesFailed": Metric("Count"),
    "DeadLetters": Metric("Count"),
    "RequestsThrottled": Metric("Count"),
    "StatusEventsLost": Metric("Count"),
    "ArchivesFailed": Metric("Count"),
}
"""All metrics that the functions write, in the namespace that POWERTOOLS_METRICS_NAMESPACE names. `service` is
`worldflow` in each of them: CloudWatch wants a dimension, and one for each function would need an alarm for each.
"""

_Key = tuple[str, tuple[str, ...]]
"""A metric, and the values of its dimensions besides `service`."""


class Meter(Observer):
    """Counts what a function does, invocation by invocation. May be used from several threads.

    world: whose requests are watched for answers that AWS is too busy. Pass it before its first request.
    clock: seconds, which turns are timed with.
    """

    def __init__(self, world: AWSWorld, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self._dead_letter_arns = world.settings.dead_letter_arns
        self._namespace = os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "Worldflow")
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: dict[_Key, float] = {}
        self._samples: dict[_Key, list[float]] = {}
        self._shared = Metrics()  # to which a step may add metrics of its own
        world.access.when_throttled(functools.partial(self.count, "RequestsThrottled"))
        world.when_status_events_are_lost(functools.partial(self.count, "StatusEventsLost"))

    def count(self, name: str, number: float = 1, *dimensions: str) -> None:
        """Adds to a sum. The dimensions are values, in the order of `METRICS`."""
        if number:
            with self._lock:
                self._counts[name, dimensions] = self._counts.get((name, dimensions), 0) + number

    def sample(self, name: str, value: float) -> None:
        """Adds a value of a distribution."""
        with self._lock:
            values = self._samples.setdefault((name, ()), [])
            if len(values) < _MOST_SAMPLES:
                values.append(value)

    def metered(self, handler: Handler) -> Handler:
        """A function's handler that writes its metrics at the end of each invocation, also of one that fails."""

        @functools.wraps(handler)
        def invoke(event: dict[str, Any], context: Any) -> dict[str, Any]:
            try:
                records = event.get("Records", ())
                self.count("DeadLetters", sum(map(self._is_dead, records)))
                answer = handler(event, context)
                self.count("MessagesFailed", len(answer.get("batchItemFailures", ())))
                return answer
            finally:
                try:
                    self.write()
                except Exception as error:
                    _log.error("the metrics of this invocation are lost", exc_info=loggable(error))

        return invoke

    def _is_dead(self, record: Mapping[str, Any]) -> bool:
        """Whether it is a dead letter, or in its queue for as many receives as make one of others."""
        if record.get("eventSourceARN") in self._dead_letter_arns:
            return True
        # Records of other services than SQS, which triggers take, have no such attributes.
        return int(record.get("attributes", {}).get("ApproximateReceiveCount", 0)) > LIFE_RECEIVES

    def write(self) -> None:
        """Writes what has been counted, and begins anew."""
        with self._lock:
            values = self._samples | {key: [number] for key, number in self._counts.items()}
            self._counts, self._samples = {}, {}
        if not is_metrics_disabled():
            for line in _lines(self._namespace, values):
                print(json.dumps(line, separators=(",", ":")))
        if self._shared.metric_set:
            self._shared.flush_metrics()

    # --- what happens ---

    @contextmanager
    def turn(self, turn: TurnReport) -> Iterator[None]:
        began = self._clock()
        try:
            yield
        finally:
            self.sample("TurnTime", round((self._clock() - began) * 1_000, _PRECISION))
            if turn.replayed:
                self.sample("EventsReplayed", turn.replayed)
            if turn.difference:
                self.count("ReplaysThatDiffer")

    def committed(self, commit: Commit) -> None:
        workflow = _named(commit.started.workflow_name)
        if commit.starts:
            self.count("RunsStarted", 1, workflow)
        if commit.ended:
            self.count("RunsEnded", 1, workflow, _outcome(commit.ended))
        if commit.became_long:
            self.count("LongHistories")

    def blocked(self, blocked: Blocked) -> None:
        self.count("RunsBlocked")
        # One is blocked, at least: the alarm is to sound now, and not when the caretaker has counted them.
        self.sample("BlockedRuns", 1)

    @contextmanager
    def attempt(self, attempt: Attempt) -> Iterator[None]:
        if attempt.sent_at is not None:
            waited = (attempt.began_at - attempt.sent_at).total_seconds()
            self.sample("StepScheduleToStart", max(0, round(waited * 1_000, _PRECISION)))
        yield

    def swept(self, report: SweepReport) -> None:
        self.count("BlockedRuns", report.blocked_runs)


def _named(workflow: str) -> str:
    """A workflow's name as a dimension."""
    try:
        known = find_workflow(workflow)
    except WorkflowNotFoundError:
        return UNKNOWN
    return ANY_NAME if known.is_dynamic else workflow


def _lines(namespace: str, values: Mapping[_Key, Sequence[float]]) -> list[dict[str, Any]]:
    """The lines of the log that hold these values. One line has one value for each dimension and metric."""
    lines: list[dict[str, Any]] = []
    for dimensions, metrics in _grouped(values).items():
        new = _line(namespace, dict(dimensions), metrics)
        fits = (line for line in lines if all(line.get(name, new[name]) == new[name] for name in new if name != "_aws"))
        if line := next(fits, None):
            directives = line["_aws"]["CloudWatchMetrics"] + new["_aws"]["CloudWatchMetrics"]
            line |= new | {"_aws": new["_aws"] | {"CloudWatchMetrics": directives}}
        else:
            lines.append(new)
    return lines


def _grouped(
    values: Mapping[_Key, Sequence[float]],
) -> dict[tuple[tuple[str, str], ...], dict[str, Sequence[float]]]:
    """Metrics by their dimensions."""
    groups: dict[tuple[tuple[str, str], ...], dict[str, Sequence[float]]] = {}
    for (name, own), value in values.items():
        dimensions = tuple(zip(METRICS[name].dimensions, ("worldflow", *own), strict=True))
        groups.setdefault(dimensions, {})[name] = value
    return groups


def _line(namespace: str, dimensions: dict[str, str], metrics: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    provider = AmazonCloudWatchEMFProvider(namespace=namespace, service="", dimension_set=dimensions)
    for name, values in metrics.items():
        for value in values:
            provider.add_metric(name, METRICS[name].unit, value)
    return dict(provider.serialize_metric_set())


def _outcome(ended: Ended) -> str:
    return "benign" if isinstance(ended, RunFailed) and is_benign(ended.error) else end_status(ended)
