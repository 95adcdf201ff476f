"""Tokens of language models, as steps record them.

An entry is a dict: the `model`, and counts under the names that OpenTelemetry has below `gen_ai.usage`, with `_` for
`.`: `input_tokens`, `output_tokens`, `cache_read_input_tokens`. There is one entry for each model.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping
from typing import TypeAlias

Entry: TypeAlias = dict[str, str | int]
"""The tokens of one model."""

MODELS_LIMIT = 50
"""Models of one step."""

COUNTS_LIMIT = 30
"""Counts of one model."""

_COUNT = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MODEL_LIMIT = 200
_LARGEST = 10**15


class Usage:
    """Adds up entries by model, in the order in which the models came. May be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._models: dict[str, dict[str, int]] = {}

    def record(self, model: str, counts: Mapping[str, int]) -> None:
        """Adds the tokens of a request. Raises `ValueError` and `TypeError` for what is no model or no count."""
        if not isinstance(model, str) or not 0 < len(model) <= _MODEL_LIMIT:
            raise ValueError(f"model must be a name of 1 to {_MODEL_LIMIT} characters")
        for name, count in counts.items():
            if name == "model" or not _COUNT.fullmatch(name):
                raise ValueError(f"{name!r} is not the name of a count: use lower-case letters, digits and _")
            if type(count) is not int:
                raise TypeError(f"{name} must be an int, not {type(count).__name__}")
            if not 0 <= count <= _LARGEST:
                raise ValueError(f"{name} must be at least 0 and at most 10**15, not {count}")
        with self._lock:
            known = self._models.get(model)
            if known is None and len(self._models) >= MODELS_LIMIT:
                raise ValueError(f"one step can record the tokens of {MODELS_LIMIT} models")
            if len({*(known or ()), *counts}) > COUNTS_LIMIT:
                raise ValueError(f"one model can have {COUNTS_LIMIT} counts")
            self._add(model, counts)

    def add(self, entries: Iterable[Mapping[str, str | int]]) -> None:
        """Adds what was recorded before."""
        with self._lock:
            for entry in entries:
                counts = {name: count for name, count in entry.items() if isinstance(count, int)}
                self._add(str(entry.get("model", "")), counts)

    def _add(self, model: str, counts: Mapping[str, int]) -> None:
        known = self._models.setdefault(model, {})
        for name, count in counts.items():
            known[name] = known.get(name, 0) + count

    def entries(self) -> list[Entry]:
        with self._lock:
            return [{"model": model, **counts} for model, counts in self._models.items()]


def total(entries: Iterable[Mapping[str, str | int]]) -> list[Entry]:
    """The sum of several entries, by model."""
    usage = Usage()
    usage.add(entries)
    return usage.entries()
