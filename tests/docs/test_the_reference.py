"""The reference on the documentation site, which is made of docstrings."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "docs/reference"
MODULES = sorted({name for page in PAGES.glob("*.md") for name in re.findall(r"^::: (\S+)", page.read_text(), re.M)})


def test_every_module_of_the_list_has_a_page() -> None:
    assert sorted(re.findall(r"^\| \[`(\S+)`\]", (PAGES / "index.md").read_text(), re.M)) == MODULES


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_documented(module: str) -> None:
    exported = importlib.import_module(module)
    names = [name for name in exported.__all__ if not name.startswith("__")]
    assert [
        name for name in names if callable(getattr(exported, name)) and not inspect.getdoc(_own(exported, name))
    ] == []


def _own(module: object, name: str) -> object:
    """The object without what it inherits: a class without a docstring of its own would show its parent's."""
    value = getattr(module, name)
    return value if not isinstance(value, type) or value.__dict__.get("__doc__") else None
