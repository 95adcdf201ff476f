"""The recipe for LangGraph: docs/guide/agents/langgraph.md."""

from typing import Any

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.prebuilt import ToolNode

from examples.agents import langgraph_graph as recipe
from tests.agents.pydantic_ai.worlds import Runs, gathered, names
from worldflow import workflow

WRITTEN = "<summarize <read about hats>; <search for hats>>"


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the model was asked. The first two requests wait for one another."""
    prompts: list[str] = []

    async def call_model(prompt: str) -> str:
        await gathered(prompts, 2)
        prompts[prompts.index(None)] = prompt  # type: ignore[arg-type]
        return f"<{prompt}>"

    monkeypatch.setattr(recipe, "call_model", call_model)
    return prompts


@pytest.mark.parametrize("approved", [True, False])
async def test_nodes_run_side_by_side_and_an_interrupt_waits_for_a_signal(
    runs: Runs, asked: list[str], approved: bool
) -> None:
    run_id = await runs.start(recipe.langgraph_report, "hats")
    assert names(runs, run_id) == ["ask_model"] * 3

    await runs.signal(run_id, "approve", approved)

    assert await runs.result(run_id) == (f"published: {WRITTEN}" if approved else "not published")
    assert ("publish_report" in names(runs, run_id)) is approved
    assert sorted(asked[:2]) == ["read about hats", "search for hats"]
    assert len(asked) == 3


async def test_the_events_of_a_graph_and_a_graph_in_a_graph(runs: Runs) -> None:
    @workflow
    async def streams_a_graph() -> list[str]:
        inner = StateGraph(recipe.Report)
        inner.add_node("search", recipe.search)
        inner.add_node("read", recipe.read)
        inner.add_edge(START, "search")
        inner.add_edge(START, "read")
        outer = StateGraph(recipe.Report)
        outer.add_node("research", inner.compile())
        outer.add_node("write", recipe.write)
        outer.add_edge(START, "research")
        outer.add_edge("research", "write")
        outer.add_edge("write", END)
        seen: list[str] = []
        async for update in outer.compile().astream({"topic": "hats", "findings": [], "text": ""}):
            seen += update
        return seen

    run_id = await runs.start(streams_a_graph)
    assert await runs.result(run_id) == ["research", "write"]
    assert names(runs, run_id) == ["ask_model"] * 3


async def test_a_plain_node_is_refused_since_it_would_run_in_a_thread(runs: Runs) -> None:
    def plain(state: recipe.Report) -> dict[str, Any]:
        return {"text": "plain"}

    @workflow
    async def runs_a_plain_node() -> str:
        graph = StateGraph(recipe.Report)
        graph.add_node("plain", plain)
        graph.add_edge(START, "plain")
        try:
            await graph.compile().ainvoke({"topic": "", "findings": [], "text": ""})
        except Exception as error:
            return str(error)
        return "ran"

    assert "threads cannot be replayed" in await runs.result(await runs.start(runs_a_plain_node))


async def test_a_node_of_tools(runs: Runs) -> None:
    from langchain_core.messages import AIMessage, ToolCall
    from langchain_core.tools import tool
    from langgraph.graph import MessagesState

    @tool
    async def ask(prompt: str) -> str:
        """Asks."""
        return await recipe.ask_model(prompt)

    @workflow
    async def runs_a_node_of_tools() -> list[str]:
        graph = StateGraph(MessagesState)
        graph.add_node("tools", ToolNode([ask]))
        graph.add_edge(START, "tools")
        calls = [ToolCall(name="ask", args={"prompt": text}, id=text) for text in ("a", "b")]
        state = await graph.compile().ainvoke({"messages": [AIMessage("", id="m", tool_calls=calls)]})
        return [str(message.content) for message in state["messages"][1:]]

    assert await runs.result(await runs.start(runs_a_node_of_tools)) == ["<a>", "<b>"]
