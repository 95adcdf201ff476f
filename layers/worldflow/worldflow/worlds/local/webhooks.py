"""The webhooks of a `LocalWorld`: an application of the user's takes the requests."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from worldflow.engine.errors import ConfigurationError
from worldflow.worlds.local.database import Database

SCHEMA = "create table if not exists keys (key blob);"


class LocalWebhooks:
    def __init__(self, database: Database, address: str | None) -> None:
        self._database = database
        self._address = address

    def url(self, token: str) -> str:
        if not self._address:
            raise ConfigurationError(
                "webhooks need a URL: set LocalWorld(..., webhook_url='https://.../webhooks'), "
                "or WORLDFLOW_WEBHOOK_URL for the command line"
            )
        return f"{self._address.rstrip('/')}/{token}"

    def keys(self) -> Sequence[bytes]:
        with self._database.transaction() as db:
            db.execute("insert into keys select ? where not exists (select 1 from keys)", (secrets.token_bytes(32),))
            return [key for (key,) in db.execute("select key from keys")]

    def newer_keys(self) -> Sequence[bytes]:
        return ()
