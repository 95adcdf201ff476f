"""The pages on agent frameworks show the files of `examples/agents`, which `tests/agents/recipes` runs."""

from __future__ import annotations

import pytest

from tests.docs.pages import PROJECT, all_blocks

RECIPES = {"langgraph": "langgraph_graph", "openai-agents": "openai_agents_sdk", "strands": "strands_agent"}


@pytest.mark.parametrize("page", RECIPES)
def test_a_page_shows_its_recipe(page: str) -> None:
    shown = [code for language, code in all_blocks(PROJECT / f"docs/guide/agents/{page}.md") if language == "python"]
    recipe = (PROJECT / f"examples/agents/{RECIPES[page]}.py").read_text()
    assert [code.strip() for code in shown] == [recipe.strip()]


def test_each_recipe_has_a_page() -> None:
    assert sorted(RECIPES.values()) == sorted(path.stem for path in (PROJECT / "examples/agents").glob("*.py"))
