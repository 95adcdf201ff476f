"""Which errors say that a service does not answer now, and how long one request goes on asking."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)

from worldflow import PayloadCodecError, RetryableError, WorldflowError
from worldflow.engine.errors import ConflictError
from worldflow.worlds.aws import access
from worldflow.worlds.outages import OutageError, is_outage, passes


class HTTPError(Exception):
    """As HTTP clients have it."""

    def __init__(self, status: int) -> None:
        self.response = SimpleNamespace(status_code=status)


def answered(code: str, status: int = 400) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Any")  # type: ignore[typeddict-item]


def cancelled(*codes: str) -> ClientError:
    reasons: Any = [{"Code": code} for code in codes]
    return ClientError({"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}, "Any")  # type: ignore[typeddict-unknown-key]


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def hidden(error: Exception, context: Exception) -> Exception:
    error.__context__, error.__suppress_context__ = context, True
    return error


OUTAGES = [
    answered("ThrottlingException"),
    answered("ProvisionedThroughputExceededException"),
    answered("RequestThrottled"),
    answered("KMSInternalException", 500),
    answered("KmsThrottled"),
    answered("KeyUnavailableException", 500),
    answered("DependencyTimeoutException"),
    answered("InternalServerError"),
    answered("SlowDown", 503),
    answered("ServiceQuotaExceededException"),
    answered("Whatever", 502),
    answered("503"),
    cancelled("None", "ThrottlingError"),
    EndpointConnectionError(endpoint_url="x"),
    ConnectTimeoutError(endpoint_url="x"),
    ReadTimeoutError(endpoint_url="x"),
    ConnectionClosedError(endpoint_url="x"),
    ConnectionResetError(),
    TimeoutError(),
    socket.gaierror(),
    HTTPError(503),
    HTTPError(429),
    RetryableError("not now"),
    OutageError(),
    caused(PayloadCodecError("no"), ConnectionRefusedError()),
    caused(WorldflowError("no"), caused(ValueError(), HTTPError(500))),
    ExceptionGroup("of several", [ValueError(), TimeoutError()]),
]
OTHERS = [
    answered("AccessDeniedException"),
    answered("ValidationException"),
    answered("ConditionalCheckFailedException"),
    answered("ResourceNotFoundException"),
    answered("DisabledException"),
    cancelled("None", "ConditionalCheckFailed"),
    NoCredentialsError(),
    ParamValidationError(report="x"),
    HTTPError(404),
    FileNotFoundError(),
    ValueError(),
    PayloadCodecError("of another codec"),
    hidden(PayloadCodecError("damaged"), TimeoutError()),
]


@pytest.mark.parametrize("error", OUTAGES, ids=repr)
def test_it_is_an_outage(error: Exception) -> None:
    assert is_outage(error)


@pytest.mark.parametrize("error", OTHERS, ids=repr)
def test_it_is_none(error: Exception) -> None:
    assert not is_outage(error)


def test_another_process_at_work_on_the_run_passes_too() -> None:
    assert passes(ConflictError("it has an event 3"))


@pytest.mark.parametrize("error", [answered("ThrottlingException"), ReadTimeoutError(endpoint_url="x")], ids=repr)
def test_a_request_ends_in_time_with_what_went_wrong(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    now, asked = 0.0, 0
    monkeypatch.setattr(access, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda seconds: None))
    client: Any = boto3.client(
        "dynamodb",
        region_name="eu-west-1",
        aws_access_key_id="a",
        aws_secret_access_key="s",
        config=Config(retries={"mode": "standard", "max_attempts": 50}),
    )
    access.end_retries_in_time(client)

    def answer(**_: Any) -> Any:
        nonlocal now, asked
        now, asked = now + 3, asked + 1
        if isinstance(error, ClientError):
            body = b'{"__type": "ThrottlingException"}'
            return SimpleNamespace(status_code=400, headers={}, content=body, raw=None, text=body.decode())
        raise error

    client.meta.events.register("before-send", answer)
    with pytest.raises(type(error)) as raised:
        client.list_tables()
    assert is_outage(raised.value)
    assert asked == 3  # after 0, 3 and 6 seconds, and not after 9
