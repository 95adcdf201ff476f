"""`Limit`: how many calls run at a time, and how many begin in a time."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta
from typing import Any, Literal, TypeGuard, TypeVar, get_args

from worldflow.engine.durations import seconds
from worldflow.engine.errors import ConfigurationError, InvalidInputError
from worldflow.engine.history.limits import Declared, Place, Rate
from worldflow.engine.ids import check_name
from worldflow.engine.texts import is_text
from worldflow.engine.values.signatures import Signature

KEY_BYTES = 200
"""Bytes of UTF-8 of a key, or of a value of fairness."""

LONGEST_RATE = timedelta(days=366)
"""The duration in which a rate counts."""

LOWEST_PRIORITY = 1_000_000
"""And its negative is the highest."""

Excess = Literal["queue", "skip", "cancel_oldest", "fail"]
Value = str | int | None
_T = TypeVar("_T")
ByCall = (
    Callable[[Any], _T] | Callable[[Any, Any], _T] | Callable[[Any, Any, Any], _T] | Callable[[Any, Any, Any, Any], _T]
)
"""A function of a call's arguments: of as many of them, in order, as it takes, up to four."""

_RATE = re.compile(r"\s*(\d+)\s*/\s*(\S+)\s*")


@dataclass(frozen=True)
class Limit:
    """How many calls run at a time, and how many begin in a time: `Limit("bank", concurrency=10, rate="500/1m")`.

    Steps with the same limit share it, whatever runs they belong to and whichever process they run in. So do workflows.

    name: up to 100 letters, digits and `_.:-`.
    concurrency: how many run at a time. Exact: a place is free when the outcome of its call is reported, and never
        because time has passed.
    rate: how many begin in a time, such as `"500/1m"`, evenly spaced. Of steps.
    burst: how many may begin at once after a pause. Default: 1.
    key: a function of the call's arguments, such as `lambda order: order.tenant`. Each value that it returns has the
        limit for itself. It gets as many of the arguments, in order, as it takes.
    excess: what becomes of a run of a workflow that finds no place. "queue": it waits. "skip": it ends as cancelled.
        "cancel_oldest": the oldest run that holds a place is cancelled, and it waits for that to end. "fail": it fails
        with `LimitExceededError`.
    approximate: limits the concurrency of steps without a write, and without order: see the guide.
    """

    name: str
    _: KW_ONLY
    concurrency: int | None = None
    rate: str | None = None
    burst: int = 1
    key: ByCall[Value] | None = None
    excess: Excess = "queue"
    approximate: bool = False

    def __post_init__(self) -> None:
        try:
            check_name(self.name, "limit name")
        except InvalidInputError as error:
            raise ConfigurationError(f"Limit({self.name!r}): {error.summary}") from None
        if self.concurrency is None and self.rate is None:
            raise self._wrong("needs a concurrency, a rate or both, such as concurrency=10 or rate='500/1m'")
        if self.concurrency is not None and not is_count(self.concurrency):
            raise self._wrong(f"concurrency must be an integer of at least 1, not {self.concurrency!r}")
        if not is_count(self.burst):
            raise self._wrong(f"burst must be an integer of at least 1, not {self.burst!r}")
        if self.burst > 1 and self.rate is None:
            raise self._wrong("burst only makes sense with a rate: add rate='500/1m', or remove burst")
        if self.key is not None and not callable(self.key):
            raise self._wrong(f"key must be a function of the call's arguments, not {self.key!r}")
        if self.excess not in get_args(Excess):
            raise self._wrong(f"excess must be queue, skip, cancel_oldest or fail, not {self.excess!r}")
        if self.approximate and (self.rate is not None or self.concurrency is None):
            raise self._wrong("approximate=True limits concurrency only: set concurrency, and remove rate")
        self.declared  # noqa: B018 - refuses a rate that is none

    @property
    def declared(self) -> Declared:
        """What the limit lets through."""
        try:
            return Declared(self.concurrency, None if self.rate is None else parse_rate(self.rate, self.burst))
        except ValueError as error:
            raise self._wrong(str(error)) from None

    def check_step(self, what: str, inline: bool | None) -> None:
        """Raises `ConfigurationError` where the limit cannot be that of a step."""
        if inline:
            raise ConfigurationError(
                f"{what}: a limited step cannot be inline: it would hold up its run's turn while it waits. Remove "
                f"inline=True or limit"
            )
        if self.excess != "queue":
            raise ConfigurationError(
                f"{what}: excess={self.excess!r} is for workflows; a step that finds no place waits"
            )

    def check_workflow(self, what: str) -> None:
        """Raises `ConfigurationError` where the limit cannot be that of a workflow."""
        if self.rate is not None or self.approximate:
            raise ConfigurationError(f"{what}: a workflow is limited by concurrency only: remove rate and approximate")

    def place(
        self,
        signature: Signature,
        arguments: Mapping[str, Any],
        priority: int | ByCall[int] = 0,
        fairness: ByCall[Value] | None = None,
    ) -> Place:
        """The place that a call asks for. Raises what the functions raise, and `ConfigurationError`."""
        given = signature.in_order(arguments) if self._asks(priority, fairness) else []
        number = _call(priority, given) if callable(priority) else priority
        check_priority(number)
        key = "" if self.key is None else _text(_call(self.key, given), f"the key of limit {self.name!r}")
        fair = None if fairness is None else _text(_call(fairness, given), f"fairness of limit {self.name!r}")
        return Place(self.name, key or "", number, fair, self.declared, self.approximate)

    def _asks(self, priority: object, fairness: object) -> bool:
        return callable(priority) or self.key is not None or fairness is not None

    def _wrong(self, what: str) -> ConfigurationError:
        return ConfigurationError(f"Limit({self.name!r}): {what}")


def parse_rate(rate: str, burst: int = 1) -> Rate:
    """The rate that a text such as `"500/1m"` says. Raises `ValueError`."""
    match = _RATE.fullmatch(rate) if isinstance(rate, str) else None
    if match is None:
        raise ValueError(f"rate must be a number per duration, such as '500/1m', not {rate!r}")
    count, unit = int(match[1]), match[2] if match[2][0].isdigit() else f"1{match[2]}"
    try:
        length = seconds(unit)
    except ValueError:
        raise ValueError(f"rate must be a number per duration, such as '500/1m', not {rate!r}") from None
    if not count or not length:
        raise ValueError(f"rate must be greater than zero, not {rate!r}")
    if length > LONGEST_RATE.total_seconds():
        raise ValueError(f"rate must be per {LONGEST_RATE.days} days at the longest, not {rate!r}")
    return Rate(count, length, burst)


def check_priority(priority: object) -> None:
    """Raises `ConfigurationError` for what is no priority."""
    is_number = isinstance(priority, int) and not isinstance(priority, bool)
    if not is_number or abs(priority) > LOWEST_PRIORITY:  # type: ignore[arg-type]
        raise ConfigurationError(
            f"priority must be an integer; the lowest goes first, and the default is 0; not {priority!r}"
        )


def check_options(what: str, limit: object, priority: object, fairness: object) -> None:
    """Raises `ConfigurationError` for what a decorator cannot take."""
    if limit is not None and not isinstance(limit, Limit):
        raise ConfigurationError(f"{what}: limit takes a Limit, such as Limit('bank', concurrency=10), not {limit!r}")
    if not callable(priority):
        check_priority(priority)
    if fairness is not None and not callable(fairness):
        raise ConfigurationError(f"{what}: fairness takes a function of the call's arguments, not {fairness!r}")
    if limit is None and (priority != 0 or fairness is not None):
        raise ConfigurationError(
            f"{what}: priority and fairness order those that wait for a limit: add limit=Limit(...)"
        )


def key_of(key: ByCall[Value] | None, signature: Signature, arguments: Mapping[str, Any], what: str) -> str:
    """The value of a `key` for a call. Raises what the function raises, and `ConfigurationError`."""
    if key is None:
        return ""
    return _text(_call(key, signature.in_order(arguments)), what) or ""


def is_count(number: object, least: int = 1) -> TypeGuard[int]:
    """Whether it is an integer of at least `least`."""
    return isinstance(number, int) and not isinstance(number, bool) and number >= least


def _call(function: Callable[..., Any], arguments: list[Any]) -> Any:
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return function(*arguments)
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return function(*arguments[: len(places)])


def _text(value: object, what: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        raise ConfigurationError(f"{what} must be a text or an integer, not {value!r}")
    text = str(value)
    if not is_text(text) or len(text.encode()) > KEY_BYTES:
        raise ConfigurationError(f"{what} must have at most {KEY_BYTES} bytes of UTF-8")
    return text
