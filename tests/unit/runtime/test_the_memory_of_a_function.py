"""How much of its function's memory a process may use before it lets go of what it keeps at hand."""

import gc

import pytest

from worldflow.turns.memory import memory_is_short, without_collections


@pytest.mark.parametrize(("size", "is_short"), [("1", True), ("1000000", False)])
def test_it_is_compared_with_what_the_function_has(monkeypatch: pytest.MonkeyPatch, size: str, is_short: bool) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", size)

    assert memory_is_short() is is_short


def test_elsewhere_it_is_never_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", raising=False)

    assert not memory_is_short()


def test_the_collector_comes_back() -> None:
    with pytest.raises(ValueError), without_collections():
        assert not gc.isenabled()
        raise ValueError

    assert gc.isenabled()


def test_one_that_was_away_stays_away() -> None:
    gc.disable()
    try:
        with without_collections():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
