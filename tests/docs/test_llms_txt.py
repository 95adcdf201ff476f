"""`llms.txt` has each page of the documentation and no other, and its rules and its example are true."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

import worldflow
from tests.docs.pages import PROJECT, module, own_page
from tests.support.site import navigation
from tools import llms
from worldflow.testing import WorkflowEnvironment

URL = "https://example.test/"
DOCS = PROJECT / "docs"


NAV = navigation()
PAGES = {path.relative_to(DOCS).as_posix(): path.read_text() for path in DOCS.rglob("*.md")}
RULES = llms.INTRODUCTION.read_text()


def test_every_page_is_listed() -> None:
    listed = set(re.findall(rf"\]\({URL}([^)]*)\)", llms.brief(NAV, URL, PAGES)))

    assert {llms.address("", uri) for uri in PAGES} - listed == set()


def test_it_has_the_form_of_the_convention() -> None:
    """A title, a summary as a quotation, prose, and then sections that are lists of links."""
    text = llms.brief(NAV, URL, PAGES)

    assert re.match(r"# Worldflow\n\n> .+", text)
    _, *sections = re.split(r"^## ", text.split("## Rules for workflow code", 1)[1], flags=re.MULTILINE)
    assert [section.split("\n")[0] for section in sections] == ["Start", "Examples", "Guide", "Reference", "Optional"]
    for section in sections:
        lines = [line for line in section.split("\n")[1:] if line]
        assert [line for line in lines if not re.fullmatch(r"- \[[^]]+\]\(\S+\)(: .+)?", line)] == []


def test_the_full_text_has_the_guide() -> None:
    text = llms.full(NAV, URL, PAGES)

    assert text.startswith(RULES.rstrip())
    assert all(PAGES[uri].strip() in text for uri in PAGES if uri.startswith("guide/"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# Title\n\n```python\nx = 1\n```\n\nA [page](x.md) about *it*. More.", "A page about *it*"),
        ("# Title\n\n| a | b |\n|---|---|\n\nAfter the table: this.", "After the table"),
        ("# Title", ""),
    ],
)
def test_what_is_said_of_a_page(text: str, said: str) -> None:
    assert llms.first_sentence(text) == said


def test_the_names_that_the_rules_use_exist() -> None:
    names = set(re.findall(r"`worldflow\.([\w.]+)", RULES)) | {"create_hook", "create_webhook", "on_update", "patched"}
    for name in names:
        parent, _, last = f"worldflow.{name}".rpartition(".")
        assert hasattr(importlib.import_module(parent), last), name
    assert {name for name in re.findall(r"`(\w+Error)`", RULES)} <= set(worldflow.__all__)


@pytest.mark.usefixtures(own_page.__name__)
async def test_the_example(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", RULES, re.DOTALL)
    flows = module(tmp_path, code)

    async with WorkflowEnvironment() as env:
        approved = await env.start(flows.order, "o1", ["a", "b"])
        await approved.signal("approved", True)
        forgotten = await env.start(flows.order, "o2", ["a"])

        assert await approved.result() == ["o1/a", "o1/b"]
        assert await forgotten.result() == []
