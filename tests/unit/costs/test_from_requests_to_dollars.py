from collections import Counter

import pytest

from worldflow.costs import Asked, Bill, Deployment, Shape, bill_of, elsewhere, prices

pytestmark = pytest.mark.one_python


def amounts(bill: Bill) -> dict[str, tuple[float, float]]:
    """Of requests."""
    return {charge.what: (charge.amount, charge.price) for charge in bill.charges if charge.is_request}


def others(bill: Bill) -> dict[str, float]:
    """In dollars of a million: what is not for requests."""
    return {charge.what: round(charge.dollars * prices.MILLION, 2) for charge in bill.charges if not charge.is_request}


def test_each_kind_of_request_has_its_price():
    requests = Counter({"s3.PutObject": 1, "s3.CopyObject": 2, "s3.GetObject": 4, "dynamodb.PutItem": 99})
    asked = Asked(
        requests=requests, write_units=5, read_units=6, sends=7, messages=80, more_chunks=9, schedules=10, estimated=[]
    )

    assert amounts(bill_of(asked, 10, Deployment(step_batch=10))) == {
        "DynamoDB write units": (5, prices.DYNAMODB_WRITE_UNIT),
        "DynamoDB read units": (6, prices.DYNAMODB_READ_UNIT),
        "SQS sends": (7, prices.SQS_REQUEST),
        "SQS receives": (8 + 9, prices.SQS_REQUEST),
        "SQS deletes": (8, prices.SQS_REQUEST),
        "Lambda invocations": (8, prices.LAMBDA_REQUEST),
        "schedules": (10, prices.SCHEDULE),
        "S3 writes": (3, prices.S3_WRITE),
        "S3 reads": (4, prices.S3_READ),
    }


def test_a_bill_is_the_sum_of_its_charges_and_has_none_for_nothing():
    bill = bill_of(Asked(write_units=2, schedules=3), 1)

    assert list(amounts(bill)) == ["DynamoDB write units", "schedules"]
    assert bill.dollars == pytest.approx(2 * prices.DYNAMODB_WRITE_UNIT + 3 * prices.SCHEDULE)


def test_tasks_of_steps_come_together_as_the_step_batch_size_lets_them():
    asked = Asked(messages=30, tasks=10, more_chunks=2)

    def of(batch: int, step_batch: int) -> tuple[int, float, float]:
        bill = bill_of(asked, batch, Deployment(step_batch=step_batch))
        found = amounts(bill)
        return bill.step_batch, found["SQS receives"][0], found["Lambda invocations"][0]

    assert of(1, 1) == (1, 32, 30)
    assert of(10, 1) == (1, 2 + 10 + 2, 2 + 10)
    assert of(10, 5) == (5, 2 + 2 + 2, 2 + 2)
    assert of(1, 10) == (1, 32, 30)  # messages that come alone are alone
    assert bill_of(asked, 10).step_batch == 1  # as the template has it


def test_what_requests_leave_behind():
    asked = Asked(messages=2, tasks=1, ledger_bytes=345, kept_bytes=345)
    bill = bill_of(asked, 1, Deployment(traced=True))

    assert others(bill) == {
        "KB of logs": 0.24,  # 509 bytes at $0.50 a GB
        "X-Ray traces": 0.50,  # a twentieth of two, at $5 a million
        "KB of ledger, 35 days": 0.17,
        "KB of history, a month": 0.14,  # $0.25 and $0.20 for recovery
    }
    assert bill.dollars == pytest.approx(bill.requests + (0.237 + 0.5 + 0.1664 + 0.1446) / prices.MILLION, rel=1e-3)
    assert "X-Ray traces" not in others(bill_of(asked, 1))


def test_elsewhere_the_start_each_attempt_wait_and_child_are_paid_for():
    shape = Shape(attempts=10, timers=2, children=3, data=1024**3, seconds=2.01)
    durable, standard, express = elsewhere(shape)

    assert durable.dollars == pytest.approx(16 * prices.DURABLE_OPERATION + prices.DURABLE_GB_WRITTEN)
    assert standard.dollars == pytest.approx(16 * prices.STATE_TRANSITION)
    # 2.1 s with a sixteenth of a GB.
    assert express.dollars == pytest.approx(prices.EXPRESS_REQUEST + 2.1 / 16 * prices.EXPRESS_GB_SECOND)


@pytest.mark.parametrize("shape", [Shape(waits=1), Shape(seconds=301)], ids=["a wait", "five minutes"])
def test_express_workflows_can_neither_wait_nor_last(shape: Shape):
    assert elsewhere(shape)[2].dollars is None
