"""What the queues promise, much of which no linter sees and no emulator shows."""

import pytest

from tests.infrastructure.stack import ROOT, TEMPLATE, Stack, target

DEAD_LETTERS = {
    "RunQueue": "RunDeadLetterQueue",
    "StepQueue": "StepDeadLetterQueue",
    "TimerQueue": "TimerDeadLetterQueue",
}
FIFO = ["RunQueue", "RunDeadLetterQueue", "StepQueue", "StepDeadLetterQueue"]
STANDARD = ["TimerQueue", "TimerDeadLetterQueue"]


def test_these_are_all_queues(stack: Stack) -> None:
    assert stack.all("SQS::Queue").keys() == {*FIFO, *STANDARD}


@pytest.mark.parametrize("queue", FIFO)
def test_a_fifo_queue_counts_by_message_group(stack: Stack, queue: str) -> None:
    assert stack[queue]["FifoQueue"] is True
    assert stack[queue]["ContentBasedDeduplication"] is True
    assert stack[queue]["DeduplicationScope"] == "messageGroup"
    assert stack[queue]["FifoThroughputLimit"] == "perMessageGroupId"


@pytest.mark.parametrize("queue", STANDARD)
def test_timers_are_standard_queues_since_fifo_has_no_delay_for_a_message(stack: Stack, queue: str) -> None:
    assert "FifoQueue" not in stack[queue]


@pytest.mark.parametrize(("queue", "dead_letters"), DEAD_LETTERS.items())
def test_a_message_dies_after_five_receives_or_more(stack: Stack, queue: str, dead_letters: str) -> None:
    redrive = stack[queue]["RedrivePolicy"]
    assert target(redrive["deadLetterTargetArn"]) == dead_letters
    assert redrive["maxReceiveCount"] >= 5


@pytest.mark.parametrize("queue", ["RunQueue", "StepQueue", *DEAD_LETTERS.values()])
def test_what_is_accepted_is_kept_for_as_long_as_sqs_can(stack: Stack, queue: str) -> None:
    assert stack[queue]["MessageRetentionPeriod"] == 14 * 86_400


def test_a_dead_letter_of_a_timer_whose_age_goes_on_has_the_longer_life(stack: Stack) -> None:
    assert stack["TimerDeadLetterQueue"]["MessageRetentionPeriod"] > stack["TimerQueue"]["MessageRetentionPeriod"]


def test_the_guide_says_how_long_a_message_may_wait_for_its_run(stack: Stack) -> None:
    days = sum(stack[queue]["MessageRetentionPeriod"] for queue in ("RunQueue", "RunDeadLetterQueue")) // 86_400
    assert f"Messages may wait for {days} days in queues" in (ROOT / "docs/guide/retention.md").read_text()


@pytest.mark.parametrize("dead_letters", DEAD_LETTERS.values())
def test_dead_letters_come_to_the_orchestrator_one_at_a_time(stack: Stack, dead_letters: str) -> None:
    source = stack.event_source(dead_letters)
    assert target(source["FunctionName"]) == "OrchestratorFunction"
    assert source["BatchSize"] == 1


@pytest.mark.parametrize("timeout", TEMPLATE["Parameters"]["StepTimeout"]["AllowedValues"])
@pytest.mark.parametrize("queue", [*FIFO, *STANDARD])
def test_a_message_stays_invisible_for_the_functions_time_and_at_least_30_seconds(queue: str, timeout: int) -> None:
    stack = Stack(StepTimeout=timeout)
    consumer = target(stack.event_source(queue)["FunctionName"])
    assert stack[queue]["VisibilityTimeout"] >= stack[consumer]["Timeout"] + 30


def test_a_dead_orchestrator_is_noticed_within_two_minutes(stack: Stack) -> None:
    assert stack["RunQueue"]["VisibilityTimeout"] <= 120
    assert stack["TimerQueue"]["VisibilityTimeout"] <= 120
