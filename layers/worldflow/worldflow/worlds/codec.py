"""A codec: what makes of the user's data something that only those who have the codec can read.

It stands between a World and everything that it writes: see `payloads.py`. `worldflow.encryption` has one that
encrypts with keys of AWS KMS.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Protocol

from worldflow.engine.errors import ConfigurationError


class PayloadCodec(Protocol):
    """Encodes the user's data. May be called from several threads."""

    def encode(self, data: bytes, context: Mapping[str, str]) -> bytes:
        """What is written in place of `data`, the JSON text of a value.

        context: what the data belongs to, such as `{"run_id": "order-1"}`: the same when it is decoded.
        """

    def decode(self, data: bytes, context: Mapping[str, str]) -> bytes:
        """What `encode` was given. Raises `PayloadCodecError` for what this codec cannot read, now or later."""


def load_codec(path: str | None) -> PayloadCodec | None:
    """The codec that `WORLDFLOW_PAYLOAD_CODEC` names as `module:attribute`: a codec, or a function that makes one."""
    if not path:
        return None
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"WORLDFLOW_PAYLOAD_CODEC is {path!r}, which cannot be imported: {error}") from error
    codec: PayloadCodec = found if hasattr(found, "encode") and not isinstance(found, type) else found()
    return codec
