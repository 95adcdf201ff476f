"""Sources of items for `map_steps`: data in S3, read in pages.

    from worldflow import map_steps, workflow
    from worldflow.sources import S3Lines

    @workflow
    async def send_all() -> int:
        return (await map_steps(send_invoice, S3Lines("s3://acme-orders/2026.jsonl"), page_size=1_000)).succeeded

A URL is `s3://bucket/key`, or `file:///path` on a `LocalWorld`. The engine's own steps read it, with the role of the
step executor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from worldflow.engine.workflow.mapping import Source

__all__ = ["S3Csv", "S3Lines", "S3Objects"]


@dataclass(frozen=True, slots=True)
class _Located(Source):
    url: str

    _kind: ClassVar[str]

    def __post_init__(self) -> None:
        scheme, _, place = self.url.partition("://")
        bucket, _, key = place.partition("/")
        is_file = scheme == "file" and not bucket and key
        if not is_file and not (scheme == "s3" and bucket and (key or self._kind == "objects")):
            raise ValueError(f"{type(self).__name__}() takes an s3://bucket/key or a file:///path, not {self.url!r}")

    def _as_json(self) -> dict[str, Any]:
        return {"kind": self._kind, "url": self.url}


@dataclass(frozen=True, slots=True)
class S3Lines(_Located):
    """The lines of an object, each of which is JSON. Empty lines are skipped.

    url: `s3://bucket/key`, or `file:///path`. UTF-8, with Unix or Windows line endings, not compressed.
    Raises `ValueError` for any other URL.
    """

    _kind: ClassVar[str] = "lines"


@dataclass(frozen=True, slots=True)
class S3Csv(_Located):
    """The records of a CSV object, each as a dict of strings. The first record is the header, with the names.

    Fields may be quoted as Python's `csv` reads them, and contain line breaks. Empty lines are skipped.

    url: `s3://bucket/key`, or `file:///path`. UTF-8, with Unix or Windows line endings, not compressed.
    delimiter: one ASCII character. Default: a comma.
    Raises `ValueError` for any other URL or delimiter.
    """

    delimiter: str = ","

    _kind: ClassVar[str] = "csv"

    def __post_init__(self) -> None:
        super(S3Csv, self).__post_init__()
        if len(self.delimiter) != 1 or not self.delimiter.isascii() or self.delimiter in '\r\n"':
            raise ValueError(f"S3Csv(delimiter=...) takes one ASCII character, not {self.delimiter!r}")

    def _as_json(self) -> dict[str, Any]:
        return {"kind": "csv", "url": self.url, "delimiter": self.delimiter}


@dataclass(frozen=True, slots=True)
class S3Objects(_Located):
    """The keys of all objects below a prefix, in ascending order. Keys that end in a slash are skipped.

    url: `s3://bucket/prefix`, or `file:///path`: then the keys are paths of files.
    Raises `ValueError` for any other URL.
    """

    _kind: ClassVar[str] = "objects"
