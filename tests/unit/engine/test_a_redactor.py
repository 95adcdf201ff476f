"""A redactor has its say on every text of an exception before it is recorded."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from worldflow import set_redactor
from worldflow.engine.history.failures import decode_exception, encode_exception

CARD = "4242424242424242"


class Declined(Exception):
    def __init__(self, card: str, details: dict[str, object]) -> None:
        super().__init__(f"card {card} declined", card)
        self.card = card
        self.details = details


@pytest.fixture(autouse=True)
def _masked() -> Iterator[None]:
    set_redactor(lambda text: re.sub(r"\d{16}", "****", text))
    yield
    set_redactor(None)


def raised(error: BaseException) -> BaseException:
    try:
        raise error from KeyError(CARD)
    except BaseException as caught:
        caught.add_note(f"seen at {CARD}")
        return caught


def test_nothing_of_what_it_takes_out_is_recorded() -> None:
    details: dict[str, object] = {"numbers": [CARD, 3], CARD: {"of": CARD}}
    group = ExceptionGroup(f"for {CARD}", [raised(Declined(CARD, details)), OSError(2, CARD, CARD)])
    failure = encode_exception(raised(group))

    assert CARD not in failure.model_dump_json()
    copy = decode_exception(failure)
    assert isinstance(copy, ExceptionGroup)
    declined = copy.exceptions[0]
    assert isinstance(declined, Declined)
    assert (declined.card, declined.details) == ("****", {"numbers": ["****", 3], "****": {"of": "****"}})
    assert str(declined) == "('card **** declined', '****')"


def test_it_sees_the_whole_text_before_any_of_it_is_cut() -> None:
    # Cut at its 16,000th character, the number would be too short to be known for one.
    failure = encode_exception(raised(ValueError("x" * 15_992 + CARD + "y" * 100)))

    assert "42424242" not in failure.model_dump_json()


def test_one_that_raises_leaves_the_text_out() -> None:
    def broken(text: str) -> str:
        raise RuntimeError(text)

    set_redactor(broken)
    failure = encode_exception(raised(ValueError(CARD)))

    assert CARD not in failure.model_dump_json()
    assert "the redactor raised RuntimeError" in failure.message
    assert failure.type == "builtins:ValueError"


def test_without_one_everything_is_as_it_was() -> None:
    set_redactor(None)
    failure = encode_exception(raised(ValueError(CARD)))

    assert (failure.message, failure.args) == (CARD, [CARD])


def test_one_that_cuts_a_character_in_half_spoils_nothing() -> None:
    set_redactor(lambda text: text + "\ud83d")
    failure = encode_exception(raised(ValueError("no")))
    assert "\\ud83d" in failure.message
    failure.model_dump_json()
