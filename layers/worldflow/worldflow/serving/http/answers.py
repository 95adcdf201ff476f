"""The answers of requests with an `Idempotency-Key`, kept in a LocalWorld: as Powertools keeps them in DynamoDB."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from aws_lambda_powertools.utilities.idempotency import BasePersistenceLayer
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyItemAlreadyExistsError,
    IdempotencyItemNotFoundError,
)
from aws_lambda_powertools.utilities.idempotency.persistence.datarecord import DataRecord

from worldflow.worlds.items import Item
from worldflow.worlds.local.world import LocalWorld

PREFIX = "answer#"

_PAGE = 1_000
_EVERY = timedelta(hours=1)


class LocalAnswers(BasePersistenceLayer):
    """Keeps answers as items. Once an hour, a request with a key removes those that have expired."""

    def __init__(self, world: LocalWorld) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._world = world
        self._forgot_at: datetime | None = None

    def _get_record(self, idempotency_key: str) -> DataRecord:
        item = self._world.get_item(PREFIX + idempotency_key)
        if item is None:
            raise IdempotencyItemNotFoundError
        return _record(item)

    def _put_record(self, data_record: DataRecord) -> None:
        if self._forgot_at is None or self._world.now() - self._forgot_at >= _EVERY:
            self._forgot_at = self._world.now()
            self._forget_expired()
        with self._world.together():
            stored = self._world.get_item(PREFIX + data_record.idempotency_key)
            if stored and not self._is_over(_record(stored)):
                self._validate_payload(data_payload=data_record, stored_data_record=_record(stored))
                raise IdempotencyItemAlreadyExistsError(old_data_record=_record(stored))
            self._update_record(data_record)

    def _is_over(self, record: DataRecord) -> bool:
        """Whether a request that comes again is to be done: after a day, or where the process died over the first."""
        died_at = record.in_progress_expiry_timestamp
        is_dead = record.status == "INPROGRESS" and died_at and died_at < self._world.now().timestamp() * 1_000
        return record.is_expired or bool(is_dead)

    def _update_record(self, data_record: DataRecord) -> None:
        fields = {
            "id": data_record.idempotency_key,
            "status": data_record.status,
            "expires_at": data_record.expiry_timestamp,
            "in_progress_until": data_record.in_progress_expiry_timestamp,
            "answer": data_record.response_data,
            "request": data_record.payload_hash,
        }
        self._world.put_item(PREFIX + data_record.idempotency_key, fields)

    def _delete_record(self, data_record: DataRecord) -> None:
        self._world.put_item(PREFIX + data_record.idempotency_key, None)

    def _forget_expired(self) -> None:
        now, after = self._world.now().timestamp(), ""
        while page := self._world.list_items(PREFIX, _PAGE, after):
            with self._world.together():
                for item in page:
                    if item["expires_at"] < now:
                        self._world.put_item(PREFIX + item["id"], None)
            after = page[-1]["id"]


def _record(item: Item) -> DataRecord:
    stored: dict[str, Any] = {
        "idempotency_key": item["id"],
        "status": item["status"],
        "expiry_timestamp": item["expires_at"],
        "in_progress_expiry_timestamp": item["in_progress_until"],
        "response_data": item["answer"],
        "payload_hash": item["request"],
    }
    return DataRecord(**stored)
