"""Bytes to records: lines, or CSV records, whose quoted fields may contain line breaks.

Each record has the byte and the line at which it begins, so that a page can be read alone and an error can name the
place.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, NoReturn

from worldflow.engine.errors import FatalError

LONGEST = 16 * 1024 * 1024
"""The most bytes that a record may have."""

_BOM = b"\xef\xbb\xbf"
_OTHERS = {
    b"\xff\xfe": "is in UTF-16; a map reads UTF-8",
    b"\xfe\xff": "is in UTF-16; a map reads UTF-8",
    b"\x1f\x8b": "is compressed with gzip, and cannot be read in parts: store it as it is, or as many objects",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd, and cannot be read in parts: store it as it is, or as many objects",
}
"""The first bytes of formats that are refused, and the error."""


class Record(NamedTuple):
    """A record, without its line ending: bytes from `start` up to `end`, lines from `line` up to `next_line`."""

    start: int
    end: int
    line: int
    next_line: int
    data: bytes

    @property
    def is_empty(self) -> bool:
        """Whether it is an empty line."""
        return not self.data.strip(b"\r\n")


def records(name: str, chunks: Iterable[bytes], start: int, line: int, delimiter: str | None) -> Iterator[Record]:
    """The records of an object, from byte `start` on, which is the beginning of a line.

    delimiter: of CSV; None for lines.
    Raises `FatalError` for another format, and for a record that is too long or a quoted field without an end.
    """
    separator = delimiter.encode() if delimiter else b""
    end, next_line, quoted = start, line, False
    parts: list[bytes] = []
    for part in _lines(name, chunks, start, line):
        if end == 0:
            _check_beginning(name, part)
            if part.startswith(_BOM):
                part, start, end = part[len(_BOM) :], len(_BOM), len(_BOM)
        end += len(part)
        next_line += 1
        if separator and (quoted or b'"' in part):
            quoted = _is_quoted_after(part, quoted, separator)
        if not quoted and not parts:
            yield Record(start, end, line, next_line, part.removesuffix(b"\n").removesuffix(b"\r"))
            start, line = end, next_line
            continue
        parts.append(part)
        if end - start > LONGEST:
            _refuse_length(name, line, start, "a quoted field that begins there has no end within")
        if not quoted:
            data = b"".join(parts).removesuffix(b"\n").removesuffix(b"\r")
            yield Record(start, end, line, next_line, data)
            parts, start, line = [], end, next_line
    if parts:
        raise FatalError(f"{name}: line {line} (byte {start}) begins a quoted field that has no end")


def _lines(name: str, chunks: Iterable[bytes], start: int, line: int) -> Iterator[bytes]:
    """The lines, with their line endings."""
    pieces: list[bytes] = []
    length = 0
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        pieces.append(first)
        length += len(first)
        if length > LONGEST:
            _refuse_length(name, line, start, "it is longer than")
        if not others:
            continue
        start += length + 1
        line += 1
        yield b"".join(pieces) + b"\n"
        for other in others[:-1]:
            start += len(other) + 1
            line += 1
            yield other + b"\n"
        pieces, length = [others[-1]], len(others[-1])
    if length:
        yield b"".join(pieces)


def _refuse_length(name: str, line: int, start: int, problem: str) -> NoReturn:
    raise FatalError(f"{name}: line {line} (byte {start}): {problem} {LONGEST // 1024**2} MB")


def _check_beginning(name: str, data: bytes) -> None:
    for mark, problem in _OTHERS.items():
        if data.startswith(mark):
            raise FatalError(f"{name} {problem}")


def _is_quoted_after(part: bytes, quoted: bool, separator: bytes) -> bool:
    """Whether a quoted field is still open at the end of a line, by the rules of Python's `csv`: a quote opens a field
    as its first character, and two quotes within the field stand for one.
    """
    place = 0
    at_start = not quoted
    while True:
        if at_start and part.startswith(b'"', place):
            quoted = True
            place += 1
        while quoted:
            place = part.find(b'"', place)
            if place < 0:
                return True
            quoted = part.startswith(b'"', place + 1)
            place += 2 if quoted else 1
        place = part.find(separator, place)
        if place < 0:
            return False
        place += len(separator)
        at_start = True


# --- the values of records ---


def json_of(name: str, record: Record) -> Any:
    """The value of a line. Raises `FatalError` with its place."""
    text = _text(name, record)
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()  # raises for half of a surrogate pair
        return value
    except json.JSONDecodeError as error:
        byte = record.start + len(text[: error.pos].encode())
        raise FatalError(f"{name}: line {record.line} (byte {byte}) is not JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise FatalError(f"{name}: line {record.line} (byte {record.start}) is not JSON: {error}") from None


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def fields_of(name: str, record: Record, delimiter: str) -> list[str]:
    """The fields of a record of CSV. Raises `FatalError` with its place."""
    try:
        return next(csv.reader(io.StringIO(_text(name, record), newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise FatalError(f"{name}: line {record.line} (byte {record.start}): {error}") from None


def header_of(name: str, record: Record, delimiter: str) -> list[str]:
    """The names of the fields, which the first record has. Raises `FatalError`."""
    header = fields_of(name, record, delimiter)
    if twice := sorted({field for field in header if header.count(field) > 1}):
        raise FatalError(f"{name}: the header in line {record.line} has {twice[0]!r} more than once")
    return header


def row_of(name: str, record: Record, delimiter: str, header: list[str]) -> dict[str, str]:
    """A record of CSV by the names of its fields. Raises `FatalError` with its place."""
    fields = fields_of(name, record, delimiter)
    if len(fields) != len(header):
        raise FatalError(
            f"{name}: line {record.line} (byte {record.start}) has {len(fields)} fields, and the header {len(header)}"
        )
    return dict(zip(header, fields, strict=True))


def _text(name: str, record: Record) -> str:
    try:
        return record.data.decode()
    except UnicodeDecodeError as error:
        byte = record.start + error.start
        raise FatalError(f"{name}: line {record.line} (byte {byte}) is not UTF-8") from None
