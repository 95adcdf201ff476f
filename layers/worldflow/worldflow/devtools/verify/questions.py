"""What AWS's documentation leaves open, and which check answers it on a real account."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from worldflow.devtools.verify.checks import account, api, caretaker, queues, timers
from worldflow.devtools.verify.outcome import Check, Outcome, Result


@dataclass(frozen=True, slots=True)
class Question:
    """`yes` is the answer if the check passes."""

    text: str
    check: Check
    yes: str


QUESTIONS = (
    Question(
        "Does TransactWriteItems fill dynamodb:LeadingKeys, which the caretaker's role requires?",
        caretaker.archive,
        "yes: the caretaker sealed and deleted a run in transactions",
    ),
    Question(
        "Is the webhook key still scheduled for rotation after the test that a deployment starts?",
        caretaker.rotation_schedule,
        "yes",
    ),
    Question(
        "Is lambda:SourceFunctionArn absent when Lambda creates network interfaces with a function's role?",
        account.network,
        "yes: the functions are in their subnets",
    ),
    Question(
        "Does Lambda decrypt a function's environment with kms:ViaService=lambda.<region>, and are Decrypt and "
        "GenerateDataKey enough for a table encrypted with your key?",
        account.key,
        "yes, both",
    ),
    Question("Does API Gateway accept limits that CloudFormation passes as strings?", api.limits, "yes"),
    Question(
        "Does API Gateway import a security scheme named `Caller` as IAM authorisation?", api.authorisation, "yes"
    ),
    Question("Does ApproximateReceiveCount continue in a FIFO dead-letter queue?", queues.receive_counts, "seen"),
    Question("How many pollers does an idle FIFO queue have?", queues.pollers, "no more than documented"),
    Question("Does an HTTP API keep a plus sign in a path?", api.plus, "yes"),
    Question("How precise is at() of EventBridge Scheduler?", timers.at, "within its minute"),
    Question(
        "Does a message that is received again and again count in the age of its FIFO queue?", queues.poison_age, "seen"
    ),
)

ONLY_HERE = "the local AWS fills condition keys with Worldflow's own code"


def answers(results: Iterable[Result], *, is_local: bool) -> Iterator[tuple[str, Outcome, str]]:
    """Each question with its check's result. An emulator answers none: it is written from the same documentation."""
    by_check = {result.check.name: result for result in results}
    for question in QUESTIONS:
        result = by_check.get(question.check.name)
        if result is None:
            yield question.text, Outcome.SKIPPED, f"{question.check.name!r} did not run"
        elif result.outcome is Outcome.PASSED and is_local:
            yield question.text, Outcome.UNDECIDED, question.check.only_on_aws or ONLY_HERE
        elif result.outcome is Outcome.PASSED:
            yield question.text, result.outcome, f"{question.yes}. {result.detail}"
        else:
            yield question.text, result.outcome, result.detail
