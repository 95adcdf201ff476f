"""The deaths of functions, counted: how often work on a message was begun, and neither ended nor failed with an error.

SQS counts receives, and a receive may have met an outage, or no code at all (a throttled invocation, a function that is
switched off). So work on a message that may be deadly is noted before it begins: that is asked for where a message was
received before, and never where it comes for the first time. If the work ends with an error that passes, the note is
taken back. What stays is what died. Where a note cannot be written, the work does not begin.

A note is a token in a set, so that writing or deleting it twice does no harm. One that could not be deleted, since the
table is away by then, is deleted before this process writes its next.
"""

from __future__ import annotations

import uuid
from typing import Any

from worldflow.worlds.aws.access import AWSAccess, as_attributes
from worldflow.worlds.ledger import expiry
from worldflow.worlds.outages import is_outage

OWED_LIMIT = 1_000
"""Notes to be deleted that a process remembers, the newest of them."""


class AWSDeaths:
    """What is begun on messages, in the table of runs. May be used from several threads."""

    def __init__(self, access: AWSAccess) -> None:
        self._access = access
        self._owed: dict[str, str] = {}
        """Tokens to be deleted, with the keys of their items."""

    def begin(self, key: str) -> tuple[str, int]:
        """Notes that work begins on the message of this key. Returns a token to take that back with, and how often it
        was begun and not taken back, this time included.
        """
        self.settle()
        token = uuid.uuid4().hex
        try:
            return token, self._write(key, token, adds=True)
        except Exception as error:
            if is_outage(error):
                self._owe(key, token)  # it may have taken effect
            raise

    def take_back(self, key: str, token: str) -> None:
        """The work has not died. Deletes the note, or remembers to."""
        self._owe(key, token)
        try:
            self.settle()
        except Exception as error:
            if not is_outage(error):
                raise

    def settle(self) -> None:
        """Deletes the notes that could not be deleted before."""
        for token, key in list(self._owed.items()):
            self._write(key, token, adds=False)
            self._owed.pop(token, None)

    def count(self, key: str) -> int:
        """How often work on the message of this key was begun, and not taken back."""
        answer = self._access.dynamodb.get_item(
            TableName=self._access.settings.runs_table, Key=as_attributes({"run_id": key}), ConsistentRead=True
        )
        return _tokens(answer.get("Item", {}))

    def _write(self, key: str, token: str, *, adds: bool) -> int:
        """Adds a token to those of a message, or deletes it. Returns how many there are then."""
        answer = self._access.dynamodb.update_item(
            TableName=self._access.settings.runs_table,
            Key=as_attributes({"run_id": key}),
            # The item may not be there, and is to expire also then.
            UpdateExpression=f"{'ADD' if adds else 'DELETE'} begun :token SET expires_at = :expires_at",
            ExpressionAttributeValues={
                ":token": {"SS": [token]},
                **as_attributes({":expires_at": expiry(self._access.now())}),
            },
            ReturnValues="ALL_NEW",
        )
        return _tokens(answer["Attributes"])

    def _owe(self, key: str, token: str) -> None:
        self._owed[token] = key
        if len(self._owed) > OWED_LIMIT:
            self._owed.pop(next(iter(self._owed)))


def _tokens(item: dict[str, Any]) -> int:
    return len(item["begun"]["SS"]) if "begun" in item else 0
