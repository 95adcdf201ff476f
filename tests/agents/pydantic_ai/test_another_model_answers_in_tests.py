import pytest
from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel

from worldflow import workflow
from worldflow.ai.pydantic import Durable, answered_by
from worldflow.testing import WorkflowEnvironment

keyless = Agent("nowhere:no-such-model", name="keyless", capabilities=[Durable()], defer_model_check=True)


@keyless.tool_plain
async def look_up_keyless(city: str) -> str:
    return "sunny"


@workflow
async def ask_keyless(prompt: str) -> str:
    return (await keyless.run(prompt)).output


async def test_the_agents_own_model_is_not_made() -> None:
    with answered_by(keyless, TestModel()):
        async with WorkflowEnvironment() as env:
            run = await env.start(ask_keyless, "Where is it sunny?")
            assert await run.result() == '{"look_up_keyless":"sunny"}'


async def test_it_answers_in_an_environment_that_is_open_already() -> None:
    async with WorkflowEnvironment() as env:
        with answered_by(keyless, TestModel(custom_output_text="Yes.")):
            run = await env.start(ask_keyless, "Where is it sunny?")
            assert await run.result() == "Yes."


async def test_outside_of_workflows_too() -> None:
    with answered_by(keyless, TestModel(custom_output_text="Yes.")):
        assert (await keyless.run("Where is it sunny?")).output == "Yes."
    with pytest.raises(Exception, match="nowhere"):
        await keyless.run("Where is it sunny?")
