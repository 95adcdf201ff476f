"""Codecs that come with Worldflow: one that compresses, and several in a row.

    Compressed    compresses larger values with zlib
    Codecs        encodes with one codec after the other, such as to compress and then encrypt

One that encrypts is in `worldflow.encryption`, which needs the extra of that name.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from worldflow.engine.errors import ConfigurationError, PayloadCodecError
from worldflow.worlds.codec import Codecs

__all__ = ["Codecs", "Compressed", "compressed"]

_MAGIC = b"wfz1"
"""No JSON text begins with it."""

LARGEST = 256 * 1024 * 1024
"""Bytes that a value may have when it is decompressed: more than any that is written (docs/guide/retention.md)."""


class Compressed:
    """Compresses values with zlib. Others are left as they are, and stay readable: those that are small, and those that
    would become no smaller.

    above: compresses values of more than this many bytes of JSON. Default: 1 KB.
    level: 1 (fast) to 9 (small). Default: 6.
    """

    def __init__(self, *, above: int = 1024, level: int = 6) -> None:
        if level not in range(1, 10):
            raise ConfigurationError(f"Compressed(level={level!r}): level must be an integer from 1 to 9")
        if not isinstance(above, int) or above < 0:
            raise ConfigurationError(f"Compressed(above={above!r}): above must be a number of bytes, 0 or more")
        self._above = above
        self._level = level

    def encode(self, data: bytes, context: Mapping[str, str]) -> bytes:
        if len(data) <= self._above:
            return data
        smaller = _MAGIC + zlib.compress(data, self._level)
        # What is not clear JSON is written as base64, which takes a third more.
        return smaller if len(smaller) * 4 / 3 < len(data) else data

    def recognizes(self, data: bytes) -> bool:
        return data.startswith(_MAGIC)

    def decode(self, data: bytes, context: Mapping[str, str]) -> bytes:
        if not self.recognizes(data):
            raise PayloadCodecError("the data was encoded by a codec other than Compressed")
        stream = zlib.decompressobj()
        try:
            clear = stream.decompress(data[len(_MAGIC) :], LARGEST)
        except zlib.error as error:
            raise PayloadCodecError(f"the data of {dict(context)} is corrupt: {error}") from None
        if not stream.eof:
            raise PayloadCodecError(f"the data of {dict(context)} is cut off, or has more than {LARGEST} bytes")
        return clear


def compressed() -> Compressed:
    """For `WORLDFLOW_PAYLOAD_CODEC=worldflow.codecs:compressed`."""
    return Compressed()
