"""A conversation with the research agent, as a workflow.

All that a page shows is in one stream of the run: what the agent says is written by its steps, while they run; the
questions, and what became of them, by the workflow itself.
"""

import asyncio
from typing import Literal

from pydantic import BaseModel
from pydantic_ai.messages import ModelMessage

from examples.research_agent.workflow import analyst, ask
from worldflow import StepError, continue_as_new, open_stream, wait_for_signal, workflow, workflow_info
from worldflow.ai.pydantic import run_with_approvals

SILENCE = 30 * 86_400
"""Seconds after which a conversation ends."""
LONG = 2_000
"""Events after which a conversation continues with a new history."""


class Message(BaseModel):
    id: str
    text: str


class Note(BaseModel):
    """What the workflow says on the stream, besides requests for approval."""

    kind: Literal["question", "answered", "failed"]
    id: str = ""
    text: str = ""


@workflow
async def converse(messages: list[ModelMessage] | None = None) -> None:
    page = open_stream("answer", Note)
    while workflow_info().history_length < LONG:
        try:
            async with asyncio.timeout(SILENCE):
                message = await wait_for_signal("message", Message)
        except TimeoutError:
            return
        page.write(Note(kind="question", id=message.id, text=message.text))
        try:
            result = await run_with_approvals(analyst, message.text, message_history=messages, ask=ask, timeout="3d")
        except StepError as error:
            page.write(Note(kind="failed", text=f"The agent failed: {error}"))
        else:
            messages = result.all_messages()
            page.write(Note(kind="answered"))
    continue_as_new(messages)
