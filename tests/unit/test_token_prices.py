"""What tokens cost, by a table that the user has given."""

from __future__ import annotations

from pathlib import Path

import pytest

from worldflow import ConfigurationError
from worldflow.token_prices import load_prices, priced, sum_of, unpriced

MILLION = 1_000_000


def test_a_million_tokens_cost_what_the_table_says() -> None:
    entry = {"model": "large", "input_tokens": 2 * MILLION, "output_tokens": MILLION}
    (part,) = priced([entry], {"large": {"input": 3, "output": 15}})
    assert part.dollars == 21


def test_a_part_with_its_own_price_is_not_paid_for_twice() -> None:
    entry = {"model": "large", "input_tokens": MILLION, "output_tokens": 0, "cache_read_input_tokens": 900_000}
    (cheap,) = priced([entry], {"large": {"input": 3, "output": 15, "cache_read_input": 0.3}})
    (dear,) = priced([entry], {"large": {"input": 3, "output": 15}})
    assert cheap.dollars == pytest.approx(0.1 * 3 + 0.9 * 0.3)
    assert dear.dollars == 3


def test_the_longest_pattern_that_fits_decides_and_a_name_comes_first() -> None:
    table = {
        "claude-*": {"input": 1, "output": 0},
        "claude-large-*": {"input": 2, "output": 0},
        "claude-large-2": {"input": 3, "output": 0},
    }
    names = ["claude-small", "claude-large-1", "claude-large-2"]
    parts = priced([{"model": name, "input_tokens": MILLION} for name in names], table)
    assert [part.dollars for part in parts] == [1, 2, 3]


def test_a_model_without_a_price_has_no_dollars() -> None:
    usage = [{"model": "large", "input_tokens": MILLION}, {"model": "own", "input_tokens": MILLION}]
    parts = priced(usage, {"large": {"input": 3, "output": 15}})  # type: ignore[arg-type]
    assert [part.dollars for part in parts] == [3, None]
    assert (sum_of(parts), unpriced(parts)) == (3, ["own"])


def test_the_table_is_in_a_file_or_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_prices() == {}
    monkeypatch.setenv("WORLDFLOW_TOKEN_PRICES", '{"large": {"input": 3, "output": 15}}')
    assert load_prices() == {"large": {"input": 3, "output": 15}}
    file = tmp_path / "prices.json"
    file.write_text('{"large": {"input": 4, "output": 15}}')
    assert load_prices(file) == {"large": {"input": 4, "output": 15}}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", "is no table"),
        ("{", "is no table"),
        ('{"large": {"input": "3", "output": 15}}', "large.input: Input should be a valid number"),
        ('{"large": {"input": 3}}', "has no 'output' price for 'large'"),
        ('{"large": {"input": 3, "output": -1}}', "a price below 0 for 'large': 'output'"),
    ],
)
def test_what_is_no_table_is_refused(text: str, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLDFLOW_TOKEN_PRICES", text)
    with pytest.raises(ConfigurationError, match=problem) as raised:
        load_prices()
    assert "WORLDFLOW_TOKEN_PRICES" in str(raised.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.json cannot be read: No such file"):
        load_prices(tmp_path / "none.json")
