"""A LangGraph graph in a workflow: what its nodes do are steps, and an `interrupt` waits for a signal."""

import operator
from typing import Annotated, Any, TypedDict

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

from worldflow import RetryPolicy, step, wait_for_signal, workflow


class Report(TypedDict):
    topic: str
    findings: Annotated[list[str], operator.add]
    text: str


async def call_model(prompt: str) -> str:
    """Where your model is called."""
    return f"<{prompt}>"


@step(timeout="5m", retry=RetryPolicy(max_attempts=5))
async def ask_model(prompt: str) -> str:
    return await call_model(prompt)


async def search(state: Report) -> dict[str, Any]:
    return {"findings": [await ask_model(f"search for {state['topic']}")]}


async def read(state: Report) -> dict[str, Any]:
    return {"findings": [await ask_model(f"read about {state['topic']}")]}


async def write(state: Report) -> dict[str, Any]:
    return {"text": await ask_model(f"summarize {'; '.join(state['findings'])}")}


async def publish(state: Report) -> dict[str, Any]:
    if not interrupt("publish?"):
        return {"text": "not published"}
    return {"text": await publish_report(state["text"])}


@step
async def publish_report(text: str) -> str:
    return f"published: {text}"


graph = StateGraph(Report)
for node in (search, read, write, publish):
    graph.add_node(node.__name__, node)
graph.add_edge(START, "search")
graph.add_edge(START, "read")
graph.add_edge(["search", "read"], "write")
graph.add_edge("write", "publish")
graph.add_edge("publish", END)


@workflow
async def langgraph_report(topic: str) -> str:
    # In memory: a replay builds it anew. It is there for `interrupt`, the history keeps the rest.
    compiled = graph.compile(checkpointer=InMemorySaver())
    thread: Any = {"configurable": {"thread_id": "report"}}
    state = await compiled.ainvoke({"topic": topic, "findings": [], "text": ""}, thread)
    while "__interrupt__" in state:
        state = await compiled.ainvoke(Command(resume=await wait_for_signal("approve", bool)), thread)
    return str(state["text"])
