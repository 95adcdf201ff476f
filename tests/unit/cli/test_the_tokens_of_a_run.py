"""Tokens and dollars stand on a run's page: `status`, `events` and `cost`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Cli

PRICES = '{"large": {"input": 3, "output": 15, "cache_read_input": 0.3}}'
LARGE = 0.5 * 3 + 0.5 * 0.3 + 0.002 * 15


@pytest.fixture
def one(cli: Cli) -> str:
    cli("start", "asks_models", "--run-id", "one")
    cli.settle()
    return "one"


@pytest.fixture
def two(cli: Cli) -> str:
    """A run with tokens of two models."""
    cli("start", "asks_models", "--run-id", "two", "--input", '{"own": true}')
    cli.settle()
    return "two"


@pytest.fixture
def prices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLDFLOW_TOKEN_PRICES", PRICES)


def test_status_and_events_show_the_tokens(cli: Cli, one: str) -> None:
    shown = cli("status", one)
    assert "1,000,000 + 2,000 tokens of large" in shown
    assert "$" not in shown
    timeline = shown[shown.index("timeline") :]
    assert "1,000,000 + 2,000 tokens" in timeline
    assert "completed  1,000,000 + 2,000 tokens of large" in cli("events", one)


@pytest.mark.usefixtures("prices")
def test_status_shows_the_dollars_where_a_price_is_known(cli: Cli, one: str, two: str) -> None:
    assert f"tokens of large (${LARGE:.6f})" in cli("status", one)
    assert f"5 tokens of own (${LARGE:.6f}, without own, which has no price)" in cli("status", two)


def test_cost_has_aws_and_tokens_in_one_figure(cli: Cli, one: str, tmp_path: Path) -> None:
    table = tmp_path / "prices.json"
    table.write_text(PRICES)
    told = cli.json("cost", one, "--token-prices", str(table))

    assert told["token_dollars"] == pytest.approx(LARGE)
    (entry,) = told["tokens"]
    assert entry == {
        "model": "large",
        "input_tokens": 1_000_000,
        "output_tokens": 2_000,
        "cache_read_input_tokens": 500_000,
        "dollars": pytest.approx(LARGE),
    }
    for batch in ("1", "10"):
        assert told["dollars"][batch] == pytest.approx(LARGE + told["batches"][batch]["dollars"])

    shown = cli("cost", one, "--token-prices", str(table))
    assert f"${LARGE:.6f} of tokens" in shown
    assert f"One run: ${told['dollars']['10']:.6f}" in shown


@pytest.mark.usefixtures("prices")
def test_cost_says_which_model_has_no_price(cli: Cli, two: str) -> None:
    told = cli.json("cost", two)
    assert told["without_price"] == ["own"]
    assert [entry["dollars"] for entry in told["tokens"]] == [pytest.approx(LARGE), None]
    shown = cli("cost", two)
    assert "No price for own: name one in --token-prices or WORLDFLOW_TOKEN_PRICES" in shown


def test_cost_of_a_run_without_tokens_says_nothing_of_them(cli: Cli) -> None:
    cli("start", "tomorrow", "--run-id", "plain", "--input", '{"day": "2026-02-28"}')
    cli.settle()
    assert not {"tokens", "token_dollars", "dollars"} & cli.json("cost", "plain").keys()
    assert "okens" not in cli("cost", "plain")


def test_a_table_that_is_none_is_one_line(cli: Cli, one: str, tmp_path: Path) -> None:
    table = tmp_path / "prices.json"
    table.write_text("[]")
    assert "is no table" in cli.fails("cost", one, "--token-prices", str(table))
