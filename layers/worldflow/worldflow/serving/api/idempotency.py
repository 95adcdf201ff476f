"""`Idempotency-Key`: a request that comes again does nothing, and gets the answer that it got at first."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.utilities.idempotency import (
    BasePersistenceLayer,
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)

DAY = 86_400

Act = Callable[[dict[str, Any], str], dict[str, Any]]
"""Does what a request asks for, and returns the answer. Is given an id for what it makes."""


def in_table(name: str) -> BasePersistenceLayer:
    """Keeps answers in the table of runs."""
    return DynamoDBPersistenceLayer(name, key_attr="run_id", expiry_attr="expires_at")


class Idempotency:
    """Does each request that has a key once."""

    def __init__(self, answers: BasePersistenceLayer) -> None:
        self.config = IdempotencyConfig(
            event_key_jmespath="key",
            payload_validation_jmespath="request",
            raise_on_no_idempotency_key=True,
            expires_after_seconds=DAY,
        )
        kept = idempotent_function(
            data_keyword_argument="call",
            persistence_store=answers,
            config=self.config,
            key_prefix="idempotency",
        )
        self._act_once = kept(_act)

    def __call__(self, operation: str, key: str | None, request: dict[str, Any], act: Act) -> dict[str, Any]:
        if not key:
            return act(request, uuid.uuid4().hex)
        # An operation has its own keys.
        call = {"key": f"{operation}:{key}", "request": {operation: request}}
        answer: dict[str, Any] = self._act_once(call=call, act=act)
        return answer


def _act(*, call: dict[str, Any], act: Act) -> dict[str, Any]:
    (request,) = call["request"].values()
    return act(request, derived_id(call["key"]))


def derived_id(key: str) -> str:
    """An id that a repeated request has too, also where the first one died before it could say what it did."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]
