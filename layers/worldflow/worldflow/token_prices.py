"""What the tokens of language models cost: a table of prices from the user, since providers change theirs.

    {"claude-sonnet-4-5*": {"input": 3, "output": 15, "cache_read_input": 0.3}}

Dollars for a million tokens, by model. A name may have `*` for any characters; the exact name comes first, then the
longest that fits. `cache_read_input` is the price of `cache_read_input_tokens`, which are a part of `input_tokens`, as
OpenTelemetry counts them; a part without a price of its own has that of the whole.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from worldflow.engine.errors import ConfigurationError
from worldflow.engine.usage import Entry

VARIABLE = "WORLDFLOW_TOKEN_PRICES"

_MILLION = 1_000_000
_TOKENS = "_tokens"

Prices = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Priced:
    """The tokens of one model."""

    entry: Entry
    dollars: float | None
    """None where the model has no price."""

    @property
    def model(self) -> str:
        return str(self.entry["model"])

    @property
    def counts(self) -> Mapping[str, int]:
        return {name: count for name, count in self.entry.items() if isinstance(count, int)}


def load_prices(path: Path | None = None) -> Prices:
    """The table in a file, or else in `WORLDFLOW_TOKEN_PRICES`. Empty where there is neither.

    Raises `ConfigurationError` for what is no table.
    """
    where, text = (str(path), "") if path else (VARIABLE, os.environ.get(VARIABLE, ""))
    try:
        text = path.read_text() if path else text
        prices: Prices = TypeAdapter(Prices).validate_python(from_json(text), strict=True) if text else {}
    except OSError as error:
        raise ConfigurationError(f"{where} cannot be read: {error.strerror}") from None
    except (ValidationError, ValueError) as error:
        detail = error.errors()[0] if isinstance(error, ValidationError) else None
        problem = f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}" if detail else str(error)
        raise ConfigurationError(
            f'{where} is no table such as {{"model": {{"input": 3, "output": 15}}}}: {problem}'
        ) from None
    for model, table in prices.items():
        for name in ("input", "output"):
            if name not in table:
                raise ConfigurationError(f"{where} has no {name!r} price for {model!r}")
        if negative := [name for name, price in table.items() if not price >= 0]:
            raise ConfigurationError(f"{where} has a price below 0 for {model!r}: {negative[0]!r}")
    return prices


def priced(usage: Sequence[Entry], prices: Prices) -> list[Priced]:
    """The dollars of each model's tokens."""
    return [Priced(entry, _dollars(entry, prices)) for entry in usage]


def _dollars(entry: Entry, prices: Prices) -> float | None:
    table = _table(str(entry["model"]), prices)
    if table is None:
        return None
    counts = {name: count for name, count in entry.items() if isinstance(count, int)}
    dollars = 0.0
    for name, price in table.items():
        count = counts.get(name + _TOKENS, 0)
        if name in ("input", "output"):
            count -= sum(counts.get(part + _TOKENS, 0) for part in table if part.endswith(f"_{name}"))
        dollars += max(count, 0) * price / _MILLION
    return dollars


def _table(model: str, prices: Prices) -> Mapping[str, float] | None:
    if model in prices:
        return prices[model]
    fitting = [name for name in prices if fnmatchcase(model, name)]
    return prices[max(fitting, key=len)] if fitting else None


def sum_of(parts: Sequence[Priced]) -> float:
    """The dollars of what has a price."""
    return sum(part.dollars or 0 for part in parts)


def unpriced(parts: Sequence[Priced]) -> list[str]:
    """The models that have none."""
    return [part.model for part in parts if part.dollars is None]
