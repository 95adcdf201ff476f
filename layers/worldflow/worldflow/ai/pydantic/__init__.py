"""Pydantic AI agents whose model requests and tool calls are steps. Needs `worldflow[pydantic-ai]`.

agent = Agent("bedrock:...", name="support", capabilities=[Durable()])

@workflow
async def support(prompt: str) -> str:
    return (await agent.run(prompt)).output
"""

from worldflow.ai.pydantic.approvals import Decision, ToolRequest, run_with_approvals, wait_for_answers
from worldflow.ai.pydantic.durable import Durable
from worldflow.ai.pydantic.evaluating import answered_by
from worldflow.ai.pydantic.options import StepOptions

__all__ = ["Decision", "Durable", "StepOptions", "ToolRequest", "answered_by", "run_with_approvals", "wait_for_answers"]
