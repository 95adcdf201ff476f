"""What a run carries for interceptors, beside its arguments."""

from __future__ import annotations

from collections.abc import Mapping

from worldflow.engine.errors import FieldError, InvalidInputError
from worldflow.engine.history import dump_value
from worldflow.engine.ids import check_name
from worldflow.engine.texts import is_text

LIMIT = 2_048
"""Bytes of JSON: they are in each message of a step and in the record of each child."""


def check_headers(headers: Mapping[str, str] | None) -> None:
    """Raises `InvalidInputError` for what is no mapping of names to short texts."""
    if headers is None:
        return
    if not isinstance(headers, Mapping):
        raise _refusal("headers", f"must map names to text, and not be of type {type(headers).__name__}")
    for name, value in headers.items():
        check_name(name, "name of a header")
        if not isinstance(value, str) or not is_text(value):
            raise _refusal(f"headers.{name}", "must be text")
    if len(dump_value(dict(headers))) > LIMIT:
        raise _refusal("headers", f"must be at most {LIMIT:,} bytes of JSON together")


def _refusal(field: str, rule: str) -> InvalidInputError:
    return InvalidInputError("the headers of a run are names with short texts", [FieldError(field, rule)])
