"""URLs that read one stream of one run, and nothing else: for a browser that has no other right.

A token is the run's id, the stream's name and when it expires, signed with the keys of webhooks, so that a forged one
is refused without a look-up and the keys are rotated together. What is signed begins otherwise than a webhook's, so
that neither is ever taken for the other.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from worldflow.engine.durations import Duration, seconds
from worldflow.engine.errors import FieldError, InvalidInputError
from worldflow.engine.ids import check_name
from worldflow.engine.workflow.webhooks import LONGEST_LIFE
from worldflow.turns.webhook_tokens import _expiry, _is_signed, _padded, _signed, _text
from worldflow.worlds.base import World

_STREAM = "stream"


@dataclass(frozen=True, slots=True)
class Reader:
    """What a token lets its holder read."""

    run_id: str
    name: str
    expires: int
    """In seconds since 1970."""


def stream_url(world: World, run_id: str, name: str, expires: Duration = "1h") -> str:
    """The URL at which this stream can be read until it expires.

    Raises `ConfigurationError` where the World has no address for webhooks, beside which it is.
    """
    check_name(name)
    life = seconds(expires)
    if not 0 < life <= LONGEST_LIFE.total_seconds():
        rule = f"must be longer than 0 and at most {LONGEST_LIFE.days} days"
        raise InvalidInputError(f"a stream's URL cannot be good for {expires!r}", [FieldError("expires", rule)])
    token = sign_reader(world.webhooks.keys()[0], run_id, name, world.now() + timedelta(seconds=life))
    webhook = urlsplit(world.webhooks.url(token))
    above = webhook.path.rpartition("/")[0].rpartition("/")[0]
    return webhook._replace(path=f"{above}/streams/{token}").geturl()


def sign_reader(key: bytes, run_id: str, name: str, expires: datetime) -> str:
    """The token of whoever may read a run's stream."""
    return _signed(key, _text(f"{run_id}/{name}".encode()), f"{math.ceil(expires.timestamp()):x}", _STREAM)


def reader_of(world: World, token: str) -> Reader | None:
    """What a token is for; None if none of this World's keys has signed it. It may have expired."""
    if token.count(".") != 2:
        return None
    webhooks = world.webhooks
    if not any(_is_signed(token, keys(), _STREAM) for keys in (webhooks.keys, webhooks.newer_keys)):
        return None
    run_id, _, name = base64.urlsafe_b64decode(_padded(token.partition(".")[0])).decode().rpartition("/")
    expires = _expiry(token)
    assert expires is not None
    return Reader(run_id, name, expires)
