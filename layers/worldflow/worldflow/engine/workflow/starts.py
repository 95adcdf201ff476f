"""How runs of a workflow start, and start again: the options of `@workflow` that a run's code does not see."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, TypedDict

from worldflow.engine.durations import Duration, seconds
from worldflow.engine.errors import ConfigurationError
from worldflow.engine.workflow.retry import RetryPolicy


class StartOptions(TypedDict, total=False):
    """These options, for type checkers."""

    execution_timeout: Duration | None
    retry: RetryPolicy | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Starts:
    """These options of one workflow."""

    execution_timeout: float | None = None
    """Seconds that a run may take, with all its generations and attempts."""
    retry: RetryPolicy | None = None

    @property
    def max_attempts(self) -> int | None:
        """How many attempts a run has at most, if more than one."""
        return self.retry.max_attempts if self.retry and self.retry.max_attempts > 1 else None


def read_starts(name: str, options: dict[str, Any]) -> Starts:
    """The options that `@workflow` of the workflow `name` was given. Raises `ConfigurationError`."""
    known = {field.name for field in fields(Starts)}
    if unknown := sorted(options.keys() - known):
        raise TypeError(f"workflow() got an unexpected keyword argument {unknown[0]!r}")
    options = {option: value for option, value in options.items() if value is not None}
    if "execution_timeout" in options:
        options["execution_timeout"] = _length(name, options["execution_timeout"])
    if not isinstance(options.get("retry"), RetryPolicy | None):
        raise ConfigurationError(
            f"@workflow(retry=...) of {name} takes a RetryPolicy(max_attempts=...), not {options['retry']!r}"
        )
    return Starts(**options)


def _length(name: str, timeout: Duration) -> float:
    length = seconds(timeout)
    if not length:
        raise ConfigurationError(
            f"@workflow(execution_timeout=...) of {name} must be greater than zero, not {timeout!r}"
        )
    return length
