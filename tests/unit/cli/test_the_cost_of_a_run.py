from contextlib import closing
from datetime import timedelta

import pytest

from tests.support import clock
from tests.unit.cli import flows
from tests.unit.cli.conftest import Cli
from worldflow.costs import prices
from worldflow.runtime.archive import archive_old_runs
from worldflow.worlds.local.world import LocalWorld


@pytest.fixture
def one(cli: Cli) -> None:
    """A run of one step: two turns, and the step between them."""
    cli("start", "tomorrow", "--run-id", "one", "--input", '{"day": "2026-02-28"}')
    cli.settle()


@pytest.mark.usefixtures("one")
def test_its_requests_and_their_price(cli: Cli):
    told = cli.json("cost", "one")

    assert told["requests"] == {
        "dynamodb.PutItem": 5,  # the record, two commits, the ledger, the record at the end
        "dynamodb.Query": 1,
        "dynamodb.BatchGetItem": 1,  # the record, and the pauses of workflows
        "sqs.SendMessageBatch": 3,  # the start, the step, its result
    }
    assert told["messages"] == 3
    assert told["estimated"] == []
    alone, together = told["batches"]["1"], told["batches"]["10"]
    # The record is in two indexes: of one an entry is written, of the other one is deleted too.
    writes, reads = (3 + 4) + 2 + 1, 3
    expected = writes * prices.DYNAMODB_WRITE_UNIT + reads * prices.DYNAMODB_READ_UNIT
    per_message = 2 * prices.SQS_REQUEST + prices.LAMBDA_REQUEST
    assert alone["requests"] == pytest.approx(expected + 3 * prices.SQS_REQUEST + 3 * per_message)
    # Of the step there is one task in a batch, as StepBatchSize has it.
    assert together["requests"] == pytest.approx(expected + 3 * prices.SQS_REQUEST + (0.2 + 1) * per_message)
    assert alone["dollars"] > alone["requests"]
    assert {"KB of logs", "KB of ledger, 35 days", "KB of history, a month"} < alone["charges"].keys()


@pytest.mark.usefixtures("one")
def test_a_stack_with_other_parameters(cli: Cli):
    plain = cli.json("cost", "one")["batches"]["10"]
    other = cli.json("cost", "one", "--step-batch", "10", "--traced", "--event-bus")["batches"]["10"]

    saved = plain["charges"]["Lambda invocations"]["amount"] - other["charges"]["Lambda invocations"]["amount"]
    assert saved == pytest.approx(0.9)
    assert other["charges"]["status events"]["amount"] == 2
    assert "X-Ray traces" in other["charges"].keys() - plain["charges"].keys()


@pytest.mark.usefixtures("one")
def test_as_a_table(cli: Cli):
    shown = cli("cost", "one", "--batch", "5")

    assert "DynamoDB write units" in shown
    assert "batch of 5" in shown
    assert "batch of 1 " not in shown
    assert "us-east-1, November 2026" in shown


@pytest.mark.usefixtures("one")
def test_elsewhere(cli: Cli):
    others = cli.json("cost", "one")["elsewhere"]

    data = len('{"day":"2026-02-28"}') * 2 + len('"2026-03-01"') * 2  # of the run and of its step
    durable = 2 * prices.DURABLE_OPERATION + data / 1024**3 * prices.DURABLE_GB_WRITTEN
    assert others["AWS Lambda durable functions"]["dollars"] == pytest.approx(durable)
    assert others["Step Functions, Standard"]["dollars"] == pytest.approx(2 * prices.STATE_TRANSITION)
    assert others["Step Functions, Express"]["dollars"] >= prices.EXPRESS_REQUEST


def test_express_cannot_wait_for_a_signal(cli: Cli):
    cli("start", "ask", "--run-id", "one")
    cli("signal", "one", "answer", "--value", "1")
    cli.settle()

    assert cli.json("cost", "one")["elsewhere"]["Step Functions, Express"]["dollars"] is None


@pytest.mark.usefixtures("one")
def test_of_an_archived_run_it_is_the_same_and_says_that_its_commits_are_told_by_their_times(cli: Cli):
    before = cli.json("cost", "one")
    with closing(LocalWorld(cli.file, clock=lambda: clock.now() + timedelta(days=3))) as world:
        assert archive_old_runs(world, older_than=timedelta(days=1)).archived == 1
    after = cli.json("cost", "one")

    (why,) = after.pop("estimated")
    assert "archive" in why
    assert before.pop("estimated") == []
    assert after == before


def test_nothing_has_happened_yet(cli: Cli):
    cli("start", "ask", "--run-id", "one")

    assert cli.run("cost", "one").stderr == "The run has not started yet.\n"
    assert cli.json("cost", "one")["requests"] == {}


def test_there_is_no_such_run(cli: Cli):
    cli("start", "ask", "--run-id", "one")

    assert "no run 'two'" in cli.fails("cost", "two")


@pytest.fixture
def three_generations(cli: Cli) -> None:
    cli("start", "countdown", "--run-id", "one", "--input", '{"left": 2}')
    cli.settle()


@pytest.mark.usefixtures("three_generations")
@pytest.mark.parametrize(
    ("args", "counted", "which"),
    [
        (["one"], "one~3", "one~3, generation 3 of 3"),
        (["one~2"], "one~2", "one~2, generation 2 of 3"),
        (["one", "--generation", "1"], "one", "one, generation 1 of 3"),
        (["one~3", "--generation", "2"], "one~2", "one~2, generation 2 of 3"),
    ],
)
def test_of_the_newest_generation_unless_another_is_named(cli: Cli, args: list[str], counted: str, which: str):
    assert cli.json("cost", *args)["run_id"] == counted
    assert cli("cost", *args).splitlines()[0].rstrip() == which


@pytest.mark.usefixtures("three_generations")
def test_a_generation_that_there_is_not(cli: Cli):
    assert cli.fails("cost", "one", "--generation", "4") == f"Error: there is no run 'one~4' in {cli.file}\n"


@pytest.mark.usefixtures("one")
def test_a_run_that_was_retried_or_continued_by_none_is_named_alone(cli: Cli):
    assert cli("cost", "one").splitlines()[0].rstrip() == "one"


def test_of_a_run_that_was_retried(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    cli("start", "doomed", "--run-id", "one")
    cli.settle()
    failed = cli.json("cost", "one")
    monkeypatch.setattr(flows, "hope", True)
    cli("retry", "one")
    cli.settle()
    retried = cli.json("cost", "one")
    assert (failed["run_id"], retried["run_id"]) == ("one", "one~2")
