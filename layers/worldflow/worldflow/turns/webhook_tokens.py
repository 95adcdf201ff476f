"""The tokens of webhooks.

A token is its run's and its hook's id and when it expires, signed, so that a forged one is refused without a look-up.
(Those of 0.2.0 have no expiry; they are good for as long as their key.)
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from worldflow.engine.history import HookCreated
from worldflow.engine.workflow.webhooks import LONGEST_LIFE
from worldflow.worlds.base import World

_WEBHOOK = "expiring webhook"
"""What a token with an expiry is for, unless it says otherwise."""


@dataclass(frozen=True, slots=True)
class WebhooksOf:
    """Where a world's webhooks are reached. Raises `ConfigurationError` where it has no place for them."""

    world: World

    def token(self, run_id: str, hook_id: str, expires: datetime) -> str:
        return sign(self.world.webhooks.keys()[0], run_id, hook_id, expires)

    def another(self, run_id: str, hook: HookCreated) -> str:
        """The token of a hook that another run has taken over, good for as long as the first was."""
        expires = _expiry(hook.token)
        life = LONGEST_LIFE if expires is None else datetime.fromtimestamp(expires, UTC) - hook.at
        return self.token(run_id, hook.hook_id, self.world.now() + life)

    def url(self, token: str) -> str:
        return self.world.webhooks.url(token)


def sign(key: bytes, run_id: str, hook_id: str, expires: datetime) -> str:
    """The token of a run's webhook."""
    return _signed(key, _text(f"{run_id}/{hook_id}".encode()), f"{math.ceil(expires.timestamp()):x}")


def _signed(key: bytes, name: str, expires: str | None, what: str = _WEBHOOK) -> str:
    """The token of this name. What is signed begins otherwise in each of the forms, so that none is two."""
    decoded = base64.urlsafe_b64decode(_padded(name))
    if _text(decoded) != name:
        raise ValueError("the same name has another spelling")
    if expires is None:
        return f"{name}.{_text(hmac.digest(key, b'worldflow webhook ' + decoded, hashlib.sha256))}"
    signature = hmac.digest(key, f"worldflow {what} {expires} ".encode() + decoded, hashlib.sha256)
    return f"{name}.{expires}.{_text(signature)}"


def _is_signed(token: str, keys: Sequence[bytes], what: str = _WEBHOOK) -> bool:
    """Whether one of the keys has signed a token. It takes the same time whichever it was."""
    name, *rest = token.split(".")
    try:
        expected = [_signed(key, name, rest[0] if len(rest) == 2 else None, what) for key in keys]
    except ValueError:
        return False
    genuine = False
    for one in expected:
        genuine |= hmac.compare_digest(one.encode(), token.encode())
    return genuine


def _expiry(token: str) -> int | None:
    """When a token that is signed expires, if it does, in seconds since 1970."""
    parts = token.split(".")
    return int(parts[1], 16) if len(parts) == 3 else None


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _padded(text: str) -> str:
    return text + "=" * (-len(text) % 4)
