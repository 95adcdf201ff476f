"""How runs of a workflow start, and start again: the options of `@workflow` that a run's code does not see."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any, TypedDict

from worldflow.engine.durations import Duration, seconds
from worldflow.engine.errors import ConfigurationError
from worldflow.engine.history.limits import Rate
from worldflow.engine.values.signatures import Signature
from worldflow.engine.workflow.gathering import Batch, Debounce
from worldflow.engine.workflow.limits import ByCall, Limit, Value, check_options, key_of, parse_rate
from worldflow.engine.workflow.retry import RetryPolicy


@dataclass(frozen=True, slots=True)
class Throttle:
    """How many runs begin in a time: `Throttle("10/1m")`. The others wait, in the order in which they were started.

    limit: a number per duration, such as `"10/1m"`, evenly spaced.
    burst: how many may begin at once after a pause. Default: 1.
    key: a function of the workflow's arguments, such as `lambda order: order.tenant`. Each value that it returns is
        throttled for itself. It gets as many of the arguments, in order, as it takes.
    """

    limit: str
    _: KW_ONLY
    burst: int = 1
    key: ByCall[Value] | None = None

    def __post_init__(self) -> None:
        try:
            parse_rate(self.limit)
        except ValueError as error:
            raise ConfigurationError(f"Throttle({self.limit!r}): {error}") from None
        if not isinstance(self.burst, int) or isinstance(self.burst, bool) or self.burst < 1:
            raise ConfigurationError(f"Throttle: burst must be an integer of at least 1, not {self.burst!r}")
        check_key("Throttle", self.key)

    @property
    def rate(self) -> Rate:
        return parse_rate(self.limit, self.burst)

    def key_of(self, signature: Signature, arguments: Mapping[str, Any]) -> str:
        """The key of a run with these arguments."""
        return key_of(self.key, signature, arguments, "the key of Throttle")


class StartOptions(TypedDict, total=False):
    """These options, for type checkers."""

    execution_timeout: Duration | None
    retry: RetryPolicy | None
    throttle: Throttle | None
    debounce: Debounce | None
    batch: Batch | None
    limit: Limit | None
    priority: int | ByCall[int]
    fairness: ByCall[Value] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Starts:
    """These options of one workflow."""

    execution_timeout: float | None = None
    """Seconds that a run may take, with all its generations and attempts."""
    retry: RetryPolicy | None = None
    throttle: Throttle | None = None
    debounce: Debounce | None = None
    batch: Batch | None = None
    limit: Limit | None = None
    priority: int | ByCall[int] = 0
    fairness: ByCall[Value] | None = None

    @property
    def gather(self) -> Debounce | Batch | None:
        """How several starts become one run."""
        return self.debounce or self.batch

    @property
    def max_attempts(self) -> int | None:
        """How many attempts a run has at most, if more than one."""
        return self.retry.max_attempts if self.retry and self.retry.max_attempts > 1 else None


_KINDS: tuple[tuple[str, type[Any], str], ...] = (
    ("retry", RetryPolicy, "RetryPolicy(max_attempts=...)"),
    ("throttle", Throttle, "Throttle, such as Throttle('10/1m')"),
    ("debounce", Debounce, "Debounce, such as Debounce('30s')"),
    ("batch", Batch, "Batch, such as Batch(100, wait='10s')"),
)


def read_starts(name: str, options: dict[str, Any]) -> Starts:
    """The options that `@workflow` of the workflow `name` was given. Raises `ConfigurationError`."""
    known = {field.name for field in fields(Starts)}
    if unknown := sorted(options.keys() - known):
        raise TypeError(f"workflow() got an unexpected keyword argument {unknown[0]!r}")
    options = {option: value for option, value in options.items() if value is not None}
    if "execution_timeout" in options:
        options["execution_timeout"] = _length(name, options["execution_timeout"])
    for option, kind, example in _KINDS:
        if not isinstance(options.get(option), kind | None):
            given = options[option]
            raise ConfigurationError(f"@workflow({option}=...) of {name} takes a {example}, not {given!r}")
    if "debounce" in options and "batch" in options:
        raise ConfigurationError(f"@workflow of {name} has a debounce and a batch: remove one of them")
    starts = Starts(**options)
    what = f"@workflow {name}"
    check_options(what, starts.limit, starts.priority, starts.fairness)
    if starts.limit:
        starts.limit.check_workflow(what)
    return starts


def check_batch(name: str, function: Callable[..., Any]) -> None:
    """Raises `ConfigurationError` for a workflow that cannot take a batch."""
    names = [one for one in inspect.signature(function).parameters if one not in ("self", "cls")]
    if len(names) != 1:
        raise ConfigurationError(f"@workflow(batch=...) of {name}: the workflow must take one argument, a list")


def check_key(what: str, key: object) -> None:
    """Raises `ConfigurationError` for what cannot be the key of a call."""
    if key is not None and not callable(key):
        raise ConfigurationError(f"{what}: key must be a function of the workflow's arguments, not {key!r}")


def _length(name: str, timeout: Duration) -> float:
    length = seconds(timeout)
    if not length:
        raise ConfigurationError(
            f"@workflow(execution_timeout=...) of {name} must be greater than zero, not {timeout!r}"
        )
    return length
