"""When a failed step is tried again."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass

from worldflow.engine.durations import Duration, seconds
from worldflow.engine.errors import FatalError, RetryableError
from worldflow.engine.privacy import loggable

_log = logging.getLogger("worldflow")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often, and how soon, a failed step is retried.

    The wait before attempt n + 1 is `initial_interval * backoff ** (n - 1)`, at most `max_interval`, minus a random
    fraction of up to `jitter` (0 to 1), so that many failing steps do not retry at the same moment.
    The default is three retries after about 1, 2 and 4 seconds.

    max_attempts: number of attempts, including the first; 1 means no retry.
    initial_interval, max_interval: durations (`"1s"`, seconds or a timedelta).
    total_time: a duration; no attempt starts later than this after the step was called. Default: no limit.
    non_retryable: exception types, or their names, that fail the step immediately. `FatalError` always does.
    retry_if: a function that decides, for any other exception, whether to retry. It runs in the workflow's process, and
        gets the exception as the workflow would. If it raises, the step is not retried.
    """

    max_attempts: int = 4
    initial_interval: Duration = "1s"
    backoff: float = 2.0
    max_interval: Duration = "1m"
    jitter: float = 0.5
    total_time: Duration | None = None
    non_retryable: tuple[type[BaseException] | str, ...] = ()
    retry_if: Callable[[BaseException], bool] | None = None

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise ValueError(f"max_attempts must be at least 1 (it counts the first attempt), not {self.max_attempts}")
        if self.backoff < 1:
            raise ValueError(f"backoff must be at least 1, not {self.backoff}")
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter must be between 0 (none) and 1 (the whole interval), not {self.jitter}")
        seconds(self.initial_interval), seconds(self.max_interval)
        if self.total_time is not None:
            seconds(self.total_time)

    def retries(self, error: BaseException, types: Collection[str] = ()) -> bool:
        """Whether `error` may be tried again at all.

        types: the names (`module:qualname`) of the classes that it is of, where it could not be rebuilt here.
        """
        if isinstance(error, FatalError):
            return False
        names = {f"{cls.__module__}:{cls.__qualname__}" for cls in type(error).__mro__}.union(types)
        known = names | {name.replace(":", ".") for name in names} | {name.rpartition(":")[2] for name in names}
        for other in self.non_retryable:
            name = other if isinstance(other, str) else f"{other.__module__}:{other.__qualname__}"
            if name in known or (isinstance(other, type) and isinstance(error, other)):
                return False
        try:
            return self.retry_if is None or bool(self.retry_if(error))
        except Exception as raised:
            _log.error("retry_if raised an exception; the step is not retried", exc_info=loggable(raised))
            return False

    def delay(self, attempt: int, random: float) -> float:
        """Seconds to wait after failed attempt `attempt` (from 1); `random` is from 0 to 1."""
        limit = seconds(self.max_interval)
        try:
            interval = min(seconds(self.initial_interval) * self.backoff ** (attempt - 1), limit)
        except OverflowError:
            interval = limit
        return interval * (1 - self.jitter * random)


def retry_after(error: BaseException) -> float | None:
    """The seconds that a `RetryableError` asks to wait, if it does and they can be read."""
    if isinstance(error, RetryableError) and error.retry_after is not None:
        with contextlib.suppress(ValueError):
            return seconds(error.retry_after)
    return None
