"""`llms.txt` of the documentation site, for language models: https://llmstxt.org. `tools/site/hook.py` writes it.

It has the rules of `tools/site/llms.md`, and a link to each page of the site as Markdown. `llms-full.txt` has the pages
themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

INTRODUCTION = Path(__file__).parent / "site/llms.md"
LENGTH = 160
"""Characters of what is said of a page."""

OPTIONAL = ("About", "Migrating")
"""Sections that a reader may leave out, by the convention of the format."""

NOT_IN_FULL = ("reference/", "migrating/", "benchmarks.md", "changelog.md", "peers.md", "releasing.md")

Nav = Sequence[Any]


def pages(nav: Nav, section: str = "") -> Iterator[tuple[str, str | None, str]]:
    """The pages of the navigation: their section, their title where it has one, and their file."""
    for entry in nav:
        if isinstance(entry, str):
            yield section, None, entry
            continue
        for title, inside in entry.items():
            if isinstance(inside, str):
                yield section or "Start", title, inside
            else:
                yield from pages(inside, section or title)


def brief(nav: Nav, url: str, markdown: Mapping[str, str]) -> str:
    """`llms.txt`. markdown: that of each page, by its file."""
    sections: dict[str, list[str]] = {}
    for section, title, uri in pages(nav):
        text = markdown.get(uri, "")
        said = first_sentence(text)
        line = f"- [{title or heading(text) or uri}]({address(url, uri)})"
        name = "Optional" if section in OPTIONAL else section
        sections.setdefault(name, []).append(f"{line}: {said}" if said else line)
    sections["Optional"] = sections.pop("Optional", [])  # as the last
    parts = [f"## {name}\n\n" + "\n".join(lines) for name, lines in sections.items()]
    return "\n\n".join([INTRODUCTION.read_text().rstrip(), *parts]) + "\n"


def full(nav: Nav, url: str, markdown: Mapping[str, str]) -> str:
    """`llms-full.txt`."""
    found = [uri for _, _, uri in pages(nav) if not uri.startswith(NOT_IN_FULL) and uri in markdown]
    parts = [f"<!-- {address(url, uri)} -->\n\n{markdown[uri].strip()}" for uri in dict.fromkeys(found)]
    return "\n\n---\n\n".join([INTRODUCTION.read_text().rstrip(), *parts]) + "\n"


def address(url: str, uri: str) -> str:
    """Where a page is as Markdown; those of the reference are made of docstrings, and only there as HTML."""
    if not uri.startswith("reference/"):
        return url + uri
    return url + (uri.removesuffix("index.md") if uri.endswith("index.md") else f"{uri.removesuffix('.md')}/")


def heading(text: str) -> str | None:
    found = re.search(r"^# (.*)$", text, re.MULTILINE)
    return found[1] if found else None


def first_sentence(text: str) -> str:
    """What a page says first, in plain text."""
    for paragraph in re.sub(r"```.*?```", "", text, flags=re.DOTALL).split("\n\n"):
        words = " ".join(paragraph.split())
        if not words or words[0] in "#|<![:-*" or words[0].islower():
            continue
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", words)
        sentence = re.split(r"(?<=[.:])\s", words)[0].rstrip(":.")
        return sentence if len(sentence) <= LENGTH else sentence[: LENGTH - 1].rsplit(" ", 1)[0] + "…"
    return ""
