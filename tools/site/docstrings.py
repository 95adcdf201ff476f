"""How the reference shows docstrings: an extension of griffe, named in `mkdocs.yml`."""

from __future__ import annotations

import re
from typing import Any

import griffe

_PARAMETER = re.compile(r"^(\w+(?:, \w+)*): (?=\S)", re.MULTILINE)


class Parameters(griffe.Extension):
    """Makes a list of the lines `name: meaning`, with which our docstrings tell of parameters."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if not obj.docstring:
            return
        paragraphs = obj.docstring.value.split("\n\n")
        obj.docstring.value = "\n\n".join(_as_list(text) if _PARAMETER.match(text) else text for text in paragraphs)


def _as_list(paragraph: str) -> str:
    return _PARAMETER.sub(lambda name: f"- `{name[1]}`: ", paragraph)
