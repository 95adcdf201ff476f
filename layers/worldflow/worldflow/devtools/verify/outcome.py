"""Checks and their results."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

from botocore.exceptions import BotoCoreError, ClientError

from worldflow.devtools.verify.failures import Failed, Skipped, Undecided
from worldflow.devtools.verify.target import Target


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    UNDECIDED = "not decided here"
    SKIPPED = "skipped"


Function = Callable[[Target], str | Generator[None, None, str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One feature of a stack, or one behaviour of AWS.

    function: runs it and returns what it saw. One that yields is resumed after all others: it waits for minutes.
    statements: the template's IAM statements that it needs, as `Role.Sid`.
    behaviour: what it needs of AWS besides.
    only_on_aws: why an emulator cannot decide it, if it cannot.
    look: the functions whose logs to read if it fails: their outputs' names without `FunctionName`.
    """

    name: str
    function: Function
    statements: tuple[str, ...]
    behaviour: str
    only_on_aws: str | None
    look: tuple[str, ...]

    @property
    def meets(self) -> str:
        """The statements by role, and the behaviour."""
        by_role: dict[str, list[str]] = {}
        for statement in self.statements:
            role, _, sid = statement.partition(".")
            by_role.setdefault(role, []).append(sid)
        lines = [f"{role}: {', '.join(sids)}" for role, sids in by_role.items()]
        return "\n".join([*lines, *([self.behaviour] if self.behaviour else [])])


@dataclass(kw_only=True, slots=True)
class Result:
    check: Check
    outcome: Outcome
    detail: str
    places: list[str] = field(default_factory=list)
    """Where to look: log groups and queues."""


def check(
    name: str,
    *,
    statements: tuple[str, ...] = (),
    behaviour: str = "",
    only_on_aws: str | None = None,
    look: tuple[str, ...] = (),
) -> Callable[[Function], Check]:
    def made(function: Function) -> Check:
        return Check(
            name=name,
            function=function,
            statements=statements,
            behaviour=behaviour,
            only_on_aws=only_on_aws,
            look=look,
        )

    return made


def run_checks(target: Target, checks: Iterable[Check]) -> Iterator[Result]:
    """Runs each check, and yields its result as soon as there is one."""
    waiting: list[tuple[Check, Generator[None, None, str]]] = []
    try:
        for one in checks:
            begun: list[Generator[None, None, str]] = []
            result = _result(target, one, partial(_begin, target, one, begun))
            if result is None:
                waiting.append((one, begun[0]))
            else:
                yield result
        for one, rest in waiting:
            if result := _result(target, one, partial(_finish, rest)):
                yield result
    finally:
        for _, rest in waiting:
            rest.close()


def _begin(target: Target, one: Check, begun: list[Generator[None, None, str]]) -> str | None:
    """What the check saw; `None` if it is to be finished later, and is in `begun`."""
    done = one.function(target)
    if isinstance(done, str):
        return done
    begun.append(done)
    next(done)
    return None


def _finish(rest: Generator[None, None, str]) -> str:
    try:
        next(rest)
    except StopIteration as stop:
        return str(stop.value)
    raise AssertionError("a check yields once")


def _result(target: Target, one: Check, run: Callable[[], str | None]) -> Result | None:
    try:
        detail = run()
    except Skipped as reason:
        return Result(check=one, outcome=Outcome.SKIPPED, detail=str(reason))
    except Undecided as reason:
        return Result(check=one, outcome=Outcome.UNDECIDED, detail=str(reason))
    except Failed as reason:
        return _failure(target, one, str(reason))
    except (ClientError, BotoCoreError) as error:
        # The caller's own request: a function that is refused shows as a run that does not end.
        return _failure(target, one, f"a request with your credentials failed: {error}")
    except Exception as error:
        return _failure(target, one, f"{type(error).__name__}: {error}")
    if detail is None:
        return None
    if why := _why_undecided(target, one):
        return Result(check=one, outcome=Outcome.UNDECIDED, detail=f"works here ({detail}), but {why}")
    return Result(check=one, outcome=Outcome.PASSED, detail=detail)


def _why_undecided(target: Target, one: Check) -> str | None:
    if not target.is_local:
        return None
    if one.only_on_aws:
        return one.only_on_aws
    if one.statements and not target.enforces_iam:
        return "this local AWS does not enforce IAM; python -m worldflow.devtools.local_aws --enforce-iam does"
    return None


def _failure(target: Target, one: Check, reason: str) -> Result:
    places = [f"{target.log_group(name)}{target.last_error(name)}" for name in one.look]
    return Result(check=one, outcome=Outcome.FAILED, detail=reason, places=places)
