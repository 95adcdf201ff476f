"""What a run asks of AWS, request by request: what it costs."""

import pytest

from tests.support import workflows
from tests.support.aws import QueueName
from tests.support.systems import AWSSystem, cancel, finish, skip
from workflows.hello import hello
from worldflow.engine.history import StepCompleted
from worldflow.runtime import sending, starting
from worldflow.worlds.messages import FactArrived, Poke

WRITE = "dynamodb.PutItem"
READ = "dynamodb.GetItem"
BEGIN = "dynamodb.BatchGetItem"
HISTORY = "dynamodb.Query"
SEND = "sqs.SendMessageBatch"

TURN = [WRITE, SEND]
"""A turn that asks for something, in a process that holds the run."""

ATTEMPT = [WRITE, SEND]
"""The ledger, and the result's way to the orchestrator."""


class Meter:
    """Polls one queue at a time, and tells what was asked of AWS meanwhile."""

    def __init__(self, system: AWSSystem) -> None:
        self.system = system

    def poll(self, queue: QueueName) -> list[str]:
        asked = self.system.stack.requests
        asked.clear()
        assert self.system.poll(queue), f"nothing in {queue}"
        return list(asked)

    def step(self) -> list[str]:
        """A step and the turn that its result brings about."""
        return [*self.poll("steps"), *self.poll("runs")]

    def tell(self, step_id: str) -> None:
        """Gives a step's result to the orchestrator, without a step and queues, which take their time in a test."""
        aws = self.system
        result = FactArrived(run_id="r", fact=StepCompleted(step_id=step_id, result=0))
        aws.stack.purge("steps")
        aws.deliver("runs", result)


@pytest.fixture
def meter(aws: AWSSystem) -> Meter:
    return Meter(aws)


def asked_for(aws: AWSSystem) -> list[str]:
    made = list(aws.stack.requests)
    aws.stack.requests.clear()
    return made


def test_a_sequential_step_is_two_writes_and_two_sends(aws: AWSSystem, meter: Meter) -> None:
    starting.start(aws.world, "r", workflows.chain, {"length": 5})
    meter.poll("runs")
    for _ in range(4):
        assert meter.poll("steps") == ATTEMPT
        assert meter.poll("runs") == TURN


def test_the_two_hundredth_step_costs_what_the_fifth_does(aws: AWSSystem, meter: Meter) -> None:
    starting.start(aws.world, "r", workflows.chain, {"length": 201})
    meter.poll("runs")
    for _ in range(4):
        meter.step()
    fifth = meter.step()
    for number in range(6, 200):
        meter.tell(f"s{number}")
    assert len(aws.world.load_history("r")) == 2 * 200
    two_hundredth = meter.step()

    assert fifth == two_hundredth == [*ATTEMPT, *TURN]


def test_an_inline_step_is_one_write(aws: AWSSystem, meter: Meter) -> None:
    starting.start(aws.world, "r", workflows.chain_inline, {"length": 5})

    # The look at the history and the record, the start with the first step, four steps, and the end.
    assert meter.poll("runs") == [HISTORY, BEGIN, WRITE, *[WRITE] * 4, WRITE, WRITE]


def test_what_an_inline_step_writes_beside_its_data_is_little(aws: AWSSystem, meter: Meter) -> None:
    starting.start(aws.world, "r", workflows.chain_inline, {"length": 5})
    meter.poll("runs")

    items = aws.stack.items("events")
    sizes = [len(item["events"]["S"]) + len("run_id" + "r" + "seq" + "events") + 8 for item in items]
    assert len(sizes) == 6
    assert max(sizes) < 512  # one write unit is 1 KB


def test_pure_inline_steps_share_a_write(aws: AWSSystem, meter: Meter) -> None:
    starting.start(aws.world, "r", workflows.chain_pure, {"length": 50})

    assert meter.poll("runs") == [HISTORY, BEGIN, WRITE, WRITE, WRITE]


def test_a_step_that_may_run_again_needs_no_ledger(aws: AWSSystem, meter: Meter) -> None:
    starting.start(aws.world, "r", workflows.chain_unrecorded, {"length": 4})
    meter.poll("runs")
    for _ in range(3):
        assert meter.poll("steps") == [SEND]
        assert meter.poll("runs") == TURN


def test_a_timeout_is_one_message_more_which_comes_when_it_is_over(aws: AWSSystem, meter: Meter) -> None:
    starting.start(aws.world, "r", workflows.chain_in_time, {"length": 2})

    assert meter.poll("runs") == [HISTORY, BEGIN, WRITE, SEND, SEND]
    assert meter.step() == [*ATTEMPT, *TURN, SEND]
    due = aws.next_due()
    assert due
    aws.clock.forward(due)
    assert meter.poll("timers") == [SEND]
    assert meter.poll("runs") == [HISTORY]  # the step has ended, and nothing is written


def test_a_start_is_a_record_and_a_message_and_its_turn_looks_for_both(aws: AWSSystem, meter: Meter) -> None:
    starting.start(aws.world, "r", workflows.chain, {"length": 2})

    assert asked_for(aws) == [WRITE, SEND]
    assert meter.poll("runs") == [HISTORY, BEGIN, WRITE, SEND]


def test_starting_what_has_started_sends_once_more_and_commits_nothing(aws: AWSSystem, meter: Meter) -> None:
    starting.start(aws.world, "r", workflows.chain, {"length": 2})
    meter.poll("runs")
    aws.stack.requests.clear()
    starting.start(aws.world, "r", workflows.chain, {"length": 2})

    assert asked_for(aws) == [WRITE, READ, SEND]
    # A turn that drops messages without a commit looks at the tail of the history first.
    assert meter.poll("runs") == [HISTORY]


def test_an_end_is_a_commit_and_the_record(aws: AWSSystem, meter: Meter) -> None:
    starting.start(aws.world, "r", workflows.chain, {"length": 1})
    meter.poll("runs")
    meter.poll("steps")

    assert meter.poll("runs") == [WRITE, WRITE]


def test_a_signal_is_one_turn(aws: AWSSystem, meter: Meter) -> None:
    starting.start(aws.world, "r", workflows.collect, {"count": 3})
    meter.poll("runs")
    aws.stack.requests.clear()
    sending.signal(aws.world, "r", "value", 1)

    assert asked_for(aws) == [READ, SEND]
    assert meter.poll("runs") == [WRITE]


def test_signals_that_wait_together_are_one_turn(aws: AWSSystem, meter: Meter) -> None:
    starting.start(aws.world, "r", workflows.collect, {"count": 20})
    meter.poll("runs")
    for number in range(10):
        sending.signal(aws.world, "r", "value", number)

    assert meter.poll("runs") == [WRITE]
    assert len(aws.world.load_history("r", after=1)) == 10


def test_a_timer_is_one_turn(aws: AWSSystem, meter: Meter) -> None:
    starting.start(aws.world, "r", workflows.pauses, {"count": 3})
    # The timer begins in the turn that asks for it.
    assert meter.poll("runs") == [HISTORY, BEGIN, WRITE, SEND]
    due = aws.next_due()
    assert due
    aws.clock.forward(due)

    assert meter.poll("timers") == [SEND]
    assert meter.poll("runs") == TURN


def test_a_long_timer_is_a_schedule_and_two_ways_through_the_queue(aws: AWSSystem, meter: Meter) -> None:
    starting.start(aws.world, "r", workflows.pauses, {"count": 1, "seconds": 30 * 86_400})
    assert meter.poll("runs") == [HISTORY, BEGIN, WRITE, "scheduler.CreateSchedule"]

    def pass_time() -> None:
        due = aws.next_due()
        assert due
        aws.clock.forward(due)
        aws.next_due()  # lets what is due run

    pass_time()
    assert meter.poll("timers") == [SEND]
    pass_time()
    assert meter.poll("timers") == [SEND]
    # What a process remembers of a run that was quiet for so long is not trusted: it may be archived by now.
    assert meter.poll("runs") == [HISTORY, READ, WRITE, WRITE]


@pytest.mark.parametrize("length", [1, 40])
def test_a_cold_turn_reads_the_history_once(aws: AWSSystem, meter: Meter, length: int) -> None:
    starting.start(aws.world, "r", workflows.chain, {"length": 50})
    meter.poll("runs")
    for _ in range(length):
        meter.step()
    meter.poll("steps")
    aws.restart()

    assert meter.poll("runs") == [HISTORY, *TURN]
    assert meter.step() == [*ATTEMPT, *TURN]


def test_parallel_steps_are_sent_ten_in_a_request(aws: AWSSystem, meter: Meter) -> None:
    starting.start(aws.world, "r", workflows.squares, {"count": 100})

    assert meter.poll("runs") == [HISTORY, BEGIN, WRITE, *[SEND] * 10]


def test_results_that_wait_together_are_one_turn(aws: AWSSystem, meter: Meter) -> None:
    starting.start(aws.world, "r", workflows.squares, {"count": 30})
    meter.poll("runs")
    for _ in range(30):
        assert meter.poll("steps") == ATTEMPT

    # Nothing to ask for until the last has come.
    assert [meter.poll("runs") for _ in range(3)] == [[WRITE], [WRITE], [WRITE, WRITE]]


def test_a_failed_attempt_is_one_turn_and_its_retry_another_wake(aws: AWSSystem, meter: Meter) -> None:
    starting.start(aws.world, "r", workflows.stumbles, {"number": 1})
    meter.poll("runs")

    assert meter.poll("steps") == ATTEMPT
    assert meter.poll("runs") == TURN
    due = aws.next_due()
    assert due
    aws.clock.forward(due)
    assert meter.poll("timers") == [SEND]
    # Nothing is committed for a wake, so the turn looks at the tail of the history.
    assert meter.poll("runs") == [HISTORY, SEND]
    # Its wake may have come twice, so a retry looks at the ledger first.
    assert meter.step() == [READ, *ATTEMPT, *TURN]


def test_a_cancel_is_one_turn(aws: AWSSystem, meter: Meter) -> None:
    starting.start(aws.world, "r", workflows.collect, {"count": 3})
    meter.poll("runs")
    aws.stack.requests.clear()
    sending.cancel(aws.world, "r")

    assert asked_for(aws) == [READ, SEND]
    assert meter.poll("runs") == [WRITE, WRITE]


def test_a_poke_sends_what_is_open_again(aws: AWSSystem, meter: Meter) -> None:
    starting.start(aws.world, "r", workflows.squares, {"count": 3})
    meter.poll("runs")
    aws.world.send([Poke(run_id="r")])

    assert meter.poll("runs") == [HISTORY, SEND, WRITE]


def test_a_whole_run_of_hello(aws: AWSSystem) -> None:
    starting.start(aws.world, "r", hello, {"name": "Ada"})
    finish(aws, "r")
    made = aws.stack.requests

    # The record, the commits of four turns, the ledger of two steps, the record at the end.
    assert made.count(WRITE) == 1 + 4 + 2 + 1
    # The start, what three turns ask for, the results of two steps, the timer on its way.
    assert made.count(SEND) == 1 + 3 + 2 + 1


def test_a_page_of_runs_is_one_query_a_shard(aws: AWSSystem) -> None:
    starting.start(aws.world, "r", workflows.collect, {"count": 1})
    cancel(aws, "r")
    assert not skip(aws)
    aws.stack.requests.clear()
    aws.world.list_runs()

    assert asked_for(aws) == [HISTORY] * 8
