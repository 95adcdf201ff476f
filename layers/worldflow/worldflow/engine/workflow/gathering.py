"""`Debounce` and `Batch`: several starts, and one run for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

from worldflow.engine.durations import Duration, seconds
from worldflow.engine.errors import ConfigurationError, FieldError, InvalidInputError
from worldflow.engine.values.signatures import Signature
from worldflow.engine.workflow.limits import ByCall, Value, key_of


@dataclass(frozen=True, slots=True)
class Debounce:
    """One run for starts that follow each other: `Debounce("30s", max_wait="5m", key=lambda order: order.id)`.

    The run begins when no other start has come for `period`, with the input of the last one.

    period: a duration without another start.
    max_wait: the run begins no later than this after the first start. Default: no limit.
    key: a function of the workflow's arguments. Each value that it returns is debounced for itself. It gets as many of
        the arguments, in order, as it takes.
    """

    period: Duration
    _: KW_ONLY
    max_wait: Duration | None = None
    key: ByCall[Value] | None = None

    def __post_init__(self) -> None:
        period = _length("Debounce", "period", self.period)
        _check_key("Debounce", self.key)
        if self.max_wait is not None and _length("Debounce", "max_wait", self.max_wait) < period:
            raise ConfigurationError(
                f"Debounce: max_wait must be at least as long as period, not {self.max_wait!r} with {self.period!r}"
            )

    def items_of(self, name: str, signature: Signature, arguments: Mapping[str, Any]) -> tuple[str | None, int]:
        return None, 1

    def key_of(self, signature: Signature, arguments: Mapping[str, Any]) -> str:
        return key_of(self.key, signature, arguments, "the key of Debounce")


@dataclass(frozen=True, slots=True)
class Batch:
    """One run for many starts: `Batch(100, wait="10s")`. The workflow takes one list, and gets those of all starts.

    size: the run begins when it has this many items.
    wait: the run begins no later than this after the first start.
    key: a function of the workflow's argument, such as `lambda rows: rows[0].table`. Each value that it returns has a
        batch for itself.
    """

    size: int
    _: KW_ONLY
    wait: Duration
    key: ByCall[Value] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.size, int) or isinstance(self.size, bool) or self.size < 1:
            raise ConfigurationError(f"Batch: size must be an integer of at least 1, not {self.size!r}")
        _length("Batch", "wait", self.wait)
        _check_key("Batch", self.key)

    def items_of(self, name: str, signature: Signature, arguments: Mapping[str, Any]) -> tuple[str | None, int]:
        """The name of the list, and how many items a start has in it. Raises `InvalidInputError`."""
        parameter = signature.parameters[0].name
        items = arguments.get(parameter)
        if not isinstance(items, list) or not items:
            problem = f"{name} runs in batches: a start must give {parameter!r} as a list of at least one item"
            raise InvalidInputError(problem, [FieldError(f"input.{parameter}", "must be a list of at least one item")])
        return parameter, len(items)

    def key_of(self, signature: Signature, arguments: Mapping[str, Any]) -> str:
        return key_of(self.key, signature, arguments, "the key of Batch")


def _length(what: str, option: str, duration: Duration) -> float:
    try:
        length = seconds(duration)
    except ValueError as error:
        raise ConfigurationError(f"{what}: {option}: {error}") from None
    if not length:
        raise ConfigurationError(f"{what}: {option} must be greater than zero, not {duration!r}")
    return length


def _check_key(what: str, key: object) -> None:
    if key is not None and not callable(key):
        raise ConfigurationError(f"{what}: key must be a function of the workflow's arguments, not {key!r}")
