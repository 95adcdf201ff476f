"""A codec: what makes of the user's data something that only those who have the codec can read.

It stands between a World and everything that it writes: see `payloads.py`. `worldflow.codecs` has one that compresses,
`worldflow.encryption` one that encrypts with keys of AWS KMS.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from worldflow.engine.errors import ConfigurationError


class PayloadCodec(Protocol):
    """Encodes the user's data. May be called from several threads."""

    def encode(self, data: bytes, context: Mapping[str, str]) -> bytes:
        """What is written in place of `data`, the JSON text of a value. `data` itself leaves that in clear.

        context: what the data belongs to, such as `{"run_id": "order-1"}`: the same when it is decoded.
        """

    def decode(self, data: bytes, context: Mapping[str, str]) -> bytes:
        """What `encode` was given. Raises `PayloadCodecError` for what this codec cannot read, now or later."""


@runtime_checkable
class Recognizes(Protocol):
    """A codec that can tell what it has encoded. Among `Codecs` it is asked for nothing else."""

    def recognizes(self, data: bytes) -> bool:
        """Whether this codec has encoded `data`."""


class Codecs:
    """Encodes with each of some codecs in turn, and decodes with them in reverse: `Codecs(Compressed(), kms_codec())`.

    Data that a codec does not recognize is left to the others, so that a codec may be added to the row while there is
    data that was written without it. A codec without `recognizes` decodes all data.
    """

    def __init__(self, *codecs: PayloadCodec) -> None:
        if not codecs:
            raise ConfigurationError("Codecs() needs at least one codec")
        self._codecs = codecs

    def encode(self, data: bytes, context: Mapping[str, str]) -> bytes:
        for codec in self._codecs:
            data = codec.encode(data, context)
        return data

    def decode(self, data: bytes, context: Mapping[str, str]) -> bytes:
        for codec in reversed(self._codecs):
            if not isinstance(codec, Recognizes) or codec.recognizes(data):
                data = codec.decode(data, context)
        return data


def load_codec(paths: str | None) -> PayloadCodec | None:
    """The codec that `WORLDFLOW_PAYLOAD_CODEC` names as `module:attribute`: a codec, or a function that makes one.
    Several names, separated by commas, are several codecs in a row: `Codecs`.
    """
    found = [_load(path, paths) for path in map(str.strip, (paths or "").split(",")) if path]
    return found[0] if len(found) == 1 else Codecs(*found) if found else None


def _load(path: str, paths: str | None) -> PayloadCodec:
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"WORLDFLOW_PAYLOAD_CODEC is {paths!r}, which cannot be imported: {error}") from error
    codec: PayloadCodec = found if hasattr(found, "encode") and not isinstance(found, type) else found()
    return codec
