"""What is typed as JSON: it is a value, or a wrong option."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from tests.support.outside import WORST, fuzz, outside
from worldflow.cli.common import read_json

DEEP = b"[" * 100_000
SHALLOW = [text for text in WORST if not text.startswith((DEEP[:10], b'{"a":{"a":'))]


@fuzz
@given(outside([{"order": {"lines": [1, None, "é"]}}], SHALLOW).map(lambda data: data.decode("utf-8", "replace")))
def test_a_value(text: str) -> None:
    try:
        json.dumps(read_json("" if text.startswith(("@", "-")) else text, "--value"))
    except typer.BadParameter as error:
        assert error.param_hint == "--value"


def test_a_value_that_is_too_deep() -> None:
    with pytest.raises(typer.BadParameter):
        read_json(DEEP.decode(), "--value")


@fuzz
@given(name=st.text(max_size=20) | st.sampled_from(["\0", "/", "/nowhere/at all", "a" * 5_000]))
def test_a_file(name: str) -> None:
    try:
        value: Any = read_json(f"@/nowhere/{name}", "--value")
    except typer.BadParameter:
        return
    assert not Path(f"/nowhere/{name}").exists() or value is None
