"""Where webhooks are reached, and the keys that sign their tokens: beside the World's contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from worldflow.engine.errors import ConfigurationError


class Webhooks(Protocol):
    def url(self, token: str) -> str:
        """Where requests to the webhook of this token go. Raises `ConfigurationError` where there is no such place."""

    def keys(self) -> Sequence[bytes]:
        """The keys that tokens are signed with; the first signs new ones. Raises `ConfigurationError`."""

    def newer_keys(self) -> Sequence[bytes]:
        """The keys for a token that none of `keys` has signed, where there may be newer ones."""


class NoWebhooks:
    """Those of a World that takes no requests."""

    def url(self, token: str) -> str:
        raise ConfigurationError("this World has no address for webhooks")

    def keys(self) -> Sequence[bytes]:
        raise ConfigurationError("this World has no keys for webhooks")

    def newer_keys(self) -> Sequence[bytes]:
        return ()
