"""Outages: errors that say nothing about what was asked for, only that a service does not answer now.

An outage is not a death. However long it lasts, it blocks no run and fails no step: messages that met one are handled
again until the service is back. Nothing of AWS's SDK is imported here, which a `LocalWorld` can do without.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

from worldflow.engine.errors import ConflictError, RetryableError

_CONNECTION = {
    "CapacityNotAvailableError",
    "ConnectionError",
    "CredentialRetrievalError",
    "HTTPClientError",
    "IncompleteReadError",
    "MetadataRetrievalError",
    "ResponseStreamingError",
}
"""Botocore's errors, with all that derive from them, for a request that has no answer or only half of one."""

_PASSING = ("throttl", "unavailable", "internal", "timeout", "timedout", "toomanyrequests", "slowdown")
"""Parts of AWS's error codes, in lower case."""

_BUSY = {
    "BandwidthLimitExceeded",
    "ClockSkewException",
    "LimitExceededException",
    "OverLimit",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceeded",
    "ProvisionedThroughputExceededException",
    "ReplicatedWriteConflictException",
    "RequestLimitExceeded",
    "ServiceQuotaExceededException",
    "TransactionConflict",
    "TransactionConflictException",
    "TransactionInProgressException",
}
"""AWS's error codes that none of those parts is in: a limit that is reached now, or another request in the way."""

_DEPTH = 20
"""Causes of an error that are looked at."""


class OutageError(Exception):
    """A service does not answer now: the cause says which. What was under way is to be tried again."""


def is_outage(error: BaseException) -> bool:
    """Whether an error, or one that it comes from, is a service's that does not answer now: it throttles, it fails with
    a 5xx, or the connection to it fails or times out.

    That is so of errors of botocore, of Python's `ConnectionError` and `TimeoutError`, of errors of other HTTP clients
    that have a `response` with a `status_code`, and of `RetryableError`, which a codec may raise itself.
    """
    return any(_is_of_an_outage(one) for one in _with_causes(error))


def passes(error: BaseException) -> bool:
    """Whether an error passes by itself: an outage, or a run on which another process is at work."""
    return isinstance(error, ConflictError) or is_outage(error)


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    waiting, seen = [error], 0
    while waiting and seen < _DEPTH:
        one, seen = waiting.pop(), seen + 1
        yield one
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
        cause = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
        if cause is not None:
            waiting.append(cause)


def _is_of_an_outage(error: BaseException) -> bool:
    if isinstance(error, (OutageError, RetryableError, ConnectionError, TimeoutError, socket.gaierror)):
        return True
    names = {kind.__name__ for kind in type(error).__mro__ if kind.__module__.startswith("botocore.")}
    if "ClientError" in names:
        return _is_passing_answer(getattr(error, "response", None) or {})
    if names:
        return bool(names & _CONNECTION)
    status = getattr(getattr(error, "response", None), "status_code", None)
    return isinstance(status, int) and _is_passing_status(status)


def _is_passing_answer(answer: dict[str, Any]) -> bool:
    codes = [str(answer.get("Error", {}).get("Code", ""))]
    codes += [str(reason.get("Code", "")) for reason in answer.get("CancellationReasons", ())]  # of a transaction
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return _is_passing_status(status) or any(map(is_passing_code, codes))


def is_passing_code(code: str) -> bool:
    """Whether this error code of AWS is that of an outage."""
    if code in _BUSY or (code.isdigit() and _is_passing_status(int(code))):
        return True
    return any(part in code.lower() for part in _PASSING)


def _is_passing_status(status: int) -> bool:
    return status >= 500 or status in (408, 429)
