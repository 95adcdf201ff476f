"""The functions write the metrics of their stack into their logs: what happened, and nothing where nothing did."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from typing import Any

import botocore.endpoint
import pytest
from botocore.awsrequest import AWSResponse

from tests.infrastructure.stack import Stack as Template
from tests.support.aws import Stack
from tests.support.clock import START
from tests.support.emf import emf_lines, metrics, points
from tests.support.lambdas import Context, http_event, load_function, own_log, sqs_event, sqs_record, unload
from tests.support.systems import AWSSystem
from worldflow import step, wait_for_signal, workflow
from worldflow.engine.history import AnyFact, SignalReceived, StepCompleted
from worldflow.runtime import starting
from worldflow.serving.metrics import METRICS, Meter
from worldflow.serving.outages import LIFE_RECEIVES
from worldflow.turns.observer import Attempt, SweepReport, TurnReport
from worldflow.worlds import AWSWorld
from worldflow.worlds.messages import FactArrived, Poke, RunMessage, Start, StepTask

_services = itertools.count(1)
_numbers = itertools.count(1)


@step
async def metered_work(number: int = 0) -> int:
    return number


@workflow
async def metered() -> int:
    return await metered_work(1) + await metered_work(2)


@workflow
async def metered_listener() -> None:
    while True:
        await wait_for_signal("a")


@workflow
async def metered_failure() -> None:
    raise ValueError("no")


@workflow
async def metered_differently() -> None:
    await metered_work(next(_numbers))


class Function:
    """A function, and what it writes."""

    def __init__(self, name: str, stack: Stack, capture: pytest.CaptureFixture[str]) -> None:
        self.stack = stack
        self._capture = capture
        self._app = load_function(name, service=f"metered-{next(_services)}")

    def close(self) -> None:
        unload(self._app)

    def output(self, event: dict[str, Any]) -> str:
        self._capture.readouterr()
        self._app.handler(event, Context())
        return self._capture.readouterr().out

    def __call__(self, event: dict[str, Any]) -> dict[tuple[str, ...], list[float]]:
        """The metrics of an invocation, but how long its turns took."""
        found = metrics(self.output(event))
        found.pop(("TurnTime",), None)
        return found

    def turn(self, *messages: RunMessage, receives: int = 1) -> dict[tuple[str, ...], list[float]]:
        return self(self.batch(*messages, receives=receives))

    def batch(self, *messages: RunMessage, receives: int = 1, queue: str = "runs") -> dict[str, Any]:
        arn = self.stack.arns[queue]  # type: ignore[index]
        return sqs_event(*(sqs_record(arn, message.dump(), receives=receives) for message in messages))


@pytest.fixture
def functions(
    aws: AWSSystem, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Function]]:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Worldflow/shop-prod")
    with own_log(), ExitStack() as running:

        def function(name: str) -> Function:
            return running.enter_context(closing(Function(name, aws.stack, capsys)))

        yield function


@pytest.fixture
def orchestrator(functions: Callable[[str], Function]) -> Function:
    return functions("orchestrator")


def fact(run_id: str, fact: AnyFact) -> FactArrived:
    return FactArrived(run_id=run_id, fact=fact)


def done(run_id: str, step_id: str) -> FactArrived:
    return fact(run_id, StepCompleted(step_id=step_id, result=1))


def begin(aws: AWSSystem, name: str, *run_ids: str) -> None:
    for run_id in run_ids:
        starting.start(aws.world, run_id, name)


# --- the orchestrator ----------------------------------------------------------------------------------------------


def test_a_run_is_counted_when_it_starts_and_when_it_ends(orchestrator: Function, aws: AWSSystem) -> None:
    begin(aws, "metered", "r")
    assert orchestrator.turn(Start(run_id="r")) == {("RunsStarted", "metered"): [1]}
    assert orchestrator.turn(done("r", "s1")) == {}
    assert orchestrator.turn(done("r", "s2")) == {("RunsEnded", "metered", "completed"): [1]}


def test_a_turn_that_is_taken_again_counts_nothing_again(orchestrator: Function, aws: AWSSystem) -> None:
    begin(aws, "metered", "r")
    messages = [Start(run_id="r"), done("r", "s1"), done("r", "s2")]
    orchestrator.turn(*messages)
    assert orchestrator.turn(*messages, receives=2) == {}


def test_runs_that_fail_are_counted_by_their_outcome(orchestrator: Function, aws: AWSSystem) -> None:
    begin(aws, "metered_failure", "r")
    assert orchestrator.turn(Start(run_id="r")) == {
        ("RunsStarted", "metered_failure"): [1],
        ("RunsEnded", "metered_failure", "failed"): [1],
    }


def test_an_invocation_writes_one_line_and_one_more_for_another_workflow(
    orchestrator: Function, aws: AWSSystem
) -> None:
    begin(aws, "metered", "a", "b")
    begin(aws, "metered_failure", "c", "d")
    both = emf_lines(orchestrator.output(orchestrator.batch(Start(run_id="a"), Start(run_id="c"))))
    one = emf_lines(orchestrator.output(orchestrator.batch(Start(run_id="b"))))
    ended = emf_lines(orchestrator.output(orchestrator.batch(Start(run_id="d"))))
    assert (len(both), len(one), len(ended)) == (2, 1, 1)


def test_every_turn_is_timed(orchestrator: Function, aws: AWSSystem) -> None:
    begin(aws, "metered", "a", "b")
    (line,) = emf_lines(orchestrator.output(orchestrator.batch(Start(run_id="a"), Start(run_id="b"))))
    (time,) = (point for point in points(json.loads(line)) if point.name == "TurnTime")
    assert (time.namespace, time.unit, time.dimensions) == (
        "Worldflow/shop-prod",
        "Milliseconds",
        {"service": "worldflow"},
    )
    assert len(time.values) == 2
    assert all(value > 0 for value in time.values)


def test_events_are_counted_that_a_cold_start_replays(
    orchestrator: Function, functions: Callable[[str], Function], aws: AWSSystem
) -> None:
    begin(aws, "metered", "r")
    orchestrator.turn(Start(run_id="r"))
    assert functions("orchestrator").turn(done("r", "s1")) == {("EventsReplayed",): [2]}


def test_a_run_that_becomes_blocked_is_counted_once(orchestrator: Function, aws: AWSSystem) -> None:
    begin(aws, "of_no_module", "r")
    found = orchestrator.turn(Start(run_id="r"))
    assert found == {("RunsStarted", "(unknown)"): [1], ("RunsBlocked",): [1], ("BlockedRuns",): [1]}
    assert not {("RunsBlocked",), ("BlockedRuns",)} & orchestrator.turn(Poke(run_id="r")).keys()


def test_an_alarm_sounds_when_a_run_becomes_blocked_and_not_an_hour_later(
    orchestrator: Function, aws: AWSSystem
) -> None:
    """A deployment that blocks runs is rolled back by this alarm, some minutes after it."""
    begin(aws, "of_no_module", "r")
    found = orchestrator.turn(Start(run_id="r"))
    alarm = Template()["BlockedRunsAlarm"]
    assert alarm["Statistic"] == "Maximum"
    assert max(found[alarm["MetricName"],]) > alarm["Threshold"]


def test_names_that_the_dynamic_workflow_takes_make_one_metric(orchestrator: Function, aws: AWSSystem) -> None:
    @workflow(dynamic=True)
    async def anything(arguments: dict[str, Any]) -> None: ...

    begin(aws, "of_no_module", "r")
    found = orchestrator.turn(Start(run_id="r"))
    assert found == {("RunsStarted", "(dynamic)"): [1], ("RunsEnded", "(dynamic)", "completed"): [1]}


def test_names_that_no_module_defines_make_one_metric(orchestrator: Function, aws: AWSSystem) -> None:
    for n in range(5):
        begin(aws, f"made_up_{n}", f"r{n}")
    found = orchestrator.turn(*(Start(run_id=f"r{n}") for n in range(5)))
    assert found == {("RunsStarted", "(unknown)"): [5], ("RunsBlocked",): [5], ("BlockedRuns",): [1] * 5}


def test_a_replay_that_differs_is_counted(
    orchestrator: Function, functions: Callable[[str], Function], aws: AWSSystem
) -> None:
    begin(aws, "metered_differently", "r")
    orchestrator.turn(Start(run_id="r"))
    assert functions("orchestrator").turn(Poke(run_id="r")) == {("EventsReplayed",): [2], ("ReplaysThatDiffer",): [1]}


def test_a_history_that_becomes_long_is_counted_once(
    functions: Callable[[str], Function], aws: AWSSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLDFLOW_HISTORY_LIMIT", "100")
    orchestrator = functions("orchestrator")
    begin(aws, "metered_listener", "r")
    signals = [fact("r", SignalReceived(signal_id=str(n), name="a", value=n)) for n in range(30)]
    orchestrator.turn(Start(run_id="r"), *signals[:18])
    counts = [orchestrator.turn(signal).get(("LongHistories",)) for signal in signals[18:22]]
    assert counts == [[1], None, None, None]


def test_messages_that_come_again_are_counted(orchestrator: Function, aws: AWSSystem) -> None:
    event = sqs_event(sqs_record(aws.stack.arns["runs"], '{"v": 2}'), sqs_record(aws.stack.arns["runs"], '{"v": 3}'))
    assert orchestrator(event) == {("MessagesFailed",): [2]}


def test_dead_letters_are_counted(orchestrator: Function, aws: AWSSystem) -> None:
    begin(aws, "metered", "r")
    found = orchestrator(orchestrator.batch(Start(run_id="r"), receives=6, queue="dead-runs"))
    assert found == {("DeadLetters",): [1], ("RunsStarted", "metered"): [1]}


def test_messages_that_come_again_and_again_are_counted_as_dead_letters(orchestrator: Function, aws: AWSSystem) -> None:
    begin(aws, "metered", "r")
    orchestrator(orchestrator.batch(Start(run_id="r")))
    assert orchestrator(orchestrator.batch(Poke(run_id="r"), receives=LIFE_RECEIVES)) == {}
    found = orchestrator(orchestrator.batch(Poke(run_id="r"), receives=LIFE_RECEIVES + 1))
    assert found == {("DeadLetters",): [1]}


def test_an_invocation_that_raises_writes_what_it_counted(
    orchestrator: Function, aws: AWSSystem, capsys: pytest.CaptureFixture[str]
) -> None:
    event = orchestrator.batch(Start(run_id="r"), receives=6, queue="dead-runs")
    del event["Records"][0]["attributes"]
    with pytest.raises(Exception, match="message not logged"):
        orchestrator.output(event)
    assert metrics(capsys.readouterr().out) == {("DeadLetters",): [1]}


# --- the others ----------------------------------------------------------------------------------------------------


def test_the_time_that_a_step_has_waited_is_measured(functions: Callable[[str], Function], aws: AWSSystem) -> None:
    task = StepTask(run_id="r", step_id="s1", name="metered_work", input={"number": 1})
    event = sqs_event(sqs_record(aws.stack.arns["steps"], task.dump(), sent_at=START.timestamp()))
    ((key, values),) = functions("step_executor")(event).items()
    assert key == ("StepScheduleToStart",)
    assert len(values) == 1


def test_the_api_writes_none_for_a_request_that_went_well(functions: Callable[[str], Function], aws: AWSSystem) -> None:
    assert functions("signal")(http_event("POST", "/runs", {"workflow": "hello", "run_id": "r"})) == {}


def test_the_caretaker_counts_blocked_runs_and_writes_nothing_where_none_is(
    functions: Callable[[str], Function], orchestrator: Function, aws: AWSSystem
) -> None:
    caretaker = functions("caretaker")
    begin(aws, "metered", "a")
    orchestrator.turn(Start(run_id="a"))
    assert emf_lines(caretaker.output({})) == []
    begin(aws, "of_no_module", "b", "c")
    orchestrator.turn(Start(run_id="b"), Start(run_id="c"))
    assert caretaker({}) == {("BlockedRuns",): [2]}


# --- the meter -----------------------------------------------------------------------------------------------------


@pytest.fixture
def meter(aws: AWSSystem, monkeypatch: pytest.MonkeyPatch) -> Meter:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Worldflow/shop-prod")
    times = itertools.count(step=0.0123)
    return Meter(AWSWorld(aws.world.settings, session=aws.stack.session), clock=lambda: next(times))


def test_a_turn_takes_as_long_as_the_clock_says(meter: Meter, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        with meter.turn(TurnReport("r", [], False, START)):
            pass
    meter.write()
    assert metrics(capsys.readouterr().out) == {("TurnTime",): [12.3, 12.3]}


@pytest.mark.parametrize(("waited", "written"), [(1.5, 1500), (0, 0), (-0.02, 0), (86_400, 86_400_000)])
def test_a_step_has_waited_from_its_sending_to_its_beginning(
    meter: Meter, capsys: pytest.CaptureFixture[str], waited: float, written: float
) -> None:
    task = StepTask(run_id="r", step_id="s1", name="metered_work")
    with meter.attempt(Attempt(task, False, False, START, START + timedelta(seconds=waited))):
        pass
    meter.write()
    assert metrics(capsys.readouterr().out) == {("StepScheduleToStart",): [written]}


def test_an_inline_step_waits_for_nothing(meter: Meter, capsys: pytest.CaptureFixture[str]) -> None:
    with meter.attempt(Attempt(StepTask(run_id="r", step_id="s1", name="metered_work"), True, False, None, START)):
        pass
    meter.write()
    assert capsys.readouterr().out == ""


def test_a_line_has_no_more_values_of_a_metric_than_cloudwatch_takes(
    meter: Meter, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(250):
        with meter.turn(TurnReport("r", [], False, START)):
            pass
    meter.write()
    assert len(metrics(capsys.readouterr().out)[("TurnTime",)]) == 99


def test_what_is_written_is_not_written_again(meter: Meter, capsys: pytest.CaptureFixture[str]) -> None:
    meter.swept(SweepReport(open_runs=3, blocked_runs=3))
    meter.write()
    meter.write()
    assert len(emf_lines(capsys.readouterr().out)) == 1


def test_metrics_can_be_turned_off_as_those_of_powertools(
    meter: Meter, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "true")
    meter.count("RunsBlocked")
    meter.write()
    assert capsys.readouterr().out == ""


def test_metrics_that_a_step_adds_are_written_apart(meter: Meter, capsys: pytest.CaptureFixture[str]) -> None:
    from aws_lambda_powertools import Metrics

    mine = Metrics(service="shop", namespace="Shop")
    mine.add_dimension("tier", "gold")
    mine.add_metric("Charges", "Count", 1)
    meter.count("RunsBlocked")
    meter.write()
    found = [point for line in emf_lines(capsys.readouterr().out) for point in points(json.loads(line))]
    assert {point.name: set(point.dimensions) for point in found} == {
        "RunsBlocked": {"service"},
        "Charges": {"tier"},
    }
    assert not mine.metric_set


def test_requests_that_aws_has_no_room_for_are_counted(
    aws: AWSSystem, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Worldflow/shop-prod")
    monkeypatch.setattr(botocore.endpoint.time, "sleep", lambda seconds: None)
    world = AWSWorld(aws.world.settings)
    meter = Meter(world)
    refusals = iter([(400, "ThrottlingException"), (400, "ProvisionedThroughputExceededException"), (500, "Other")])

    def refuse(request: Any, **_: Any) -> AWSResponse | None:
        status, code = next(refusals, (200, ""))
        if status == 200:
            return None
        response = AWSResponse(request.url, status, {}, None)
        response._content = json.dumps({"__type": code}).encode()
        return response

    world.access.session.events.register_first("before-send.dynamodb", refuse)
    assert world.get_run("nobody") is None
    meter.write()
    assert metrics(capsys.readouterr().out) == {("RequestsThrottled",): [2]}


@pytest.mark.parametrize("name", METRICS)
def test_each_metric_can_be_written(meter: Meter, capsys: pytest.CaptureFixture[str], name: str) -> None:
    meter.count(name, 1, *METRICS[name].dimensions[1:])
    meter.write()
    (line,) = emf_lines(capsys.readouterr().out)
    (point,) = points(json.loads(line))
    assert (point.name, point.unit, tuple(point.dimensions)) == (name, *METRICS[name])


# --- what it costs -------------------------------------------------------------------------------------------------


def test_a_queued_step_costs_two_short_lines(
    orchestrator: Function, functions: Callable[[str], Function], aws: AWSSystem
) -> None:
    """Bytes of logs cost $0.50 a GB: these are $0.23 for a million steps."""
    begin(aws, "metered", "r")
    orchestrator.turn(Start(run_id="r"))
    turn = orchestrator.output(orchestrator.batch(done("r", "s1")))
    task = StepTask(run_id="r", step_id="s2", name="metered_work", input={"number": 1})
    attempt = functions("step_executor").output(sqs_event(sqs_record(aws.stack.arns["steps"], task.dump())))
    assert len(turn.splitlines()) == len(attempt.splitlines()) == 1
    assert len(turn) + len(attempt) < 460
