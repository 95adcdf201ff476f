"""A model that follows a script, so that the example needs no key and says the same each time.

It asks for five tools at once, then for the report, and then answers with what they returned, word by word.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

QUESTIONS = ("rent", "footfall", "competition", "weather", "press_review")
"""The tools that it asks for at once."""


class Pace:
    """How fast the model speaks."""

    seconds = 0.06

    async def word(self) -> None:
        await asyncio.sleep(self.seconds)


pace = Pace()


@dataclass(frozen=True, slots=True)
class Turn:
    """What the model says, and then calls."""

    text: str = ""
    calls: Sequence[ToolCallPart] = field(default=())


def script(messages: Sequence[ModelMessage], info: AgentInfo) -> Turn:
    question, results = _since_the_question(messages)
    city = _city(question)
    tools = {tool.name for tool in info.function_tools}
    if "articles" in tools:
        return _press(city, results)
    if "rent" not in results:
        calls = [ToolCallPart(name, {"city": city}, tool_call_id=f"{name}-{len(messages)}") for name in QUESTIONS]
        return Turn(f"You ask: {question}\n\nI look into {city} from five sides at once.", calls)
    if "buy_report" not in results:
        report = {"title": f"Where to eat in {city}", "dollars": 40}
        call = ToolCallPart("buy_report", report, tool_call_id=f"buy_report-{len(messages)}")
        return Turn("The figures are here. One report is not free: may I buy it?", [call])
    return Turn(
        f"A café in {city} would pay {results['rent']} and see {results['footfall']}. It would share them with "
        f"{results['competition']}, and could put its tables outside on {results['weather']}.\n\n"
        f"The press: {results['press_review']}\n\n"
        f"{results['buy_report']}\n\n"
        "I would look for a small place with a terrace, sign for three years, and open in spring. Before that, count "
        "the passers-by yourself, on a Tuesday in the rain: figures of sunny days are those that sellers show."
    )


def _press(city: str, results: dict[str, str]) -> Turn:
    if "articles" not in results:
        return Turn(calls=[ToolCallPart("articles", {"city": city}, tool_call_id="articles-1")])
    return Turn(f"{'; '.join(json.loads(results['articles']))}.")


def _since_the_question(messages: Sequence[ModelMessage]) -> tuple[str, dict[str, str]]:
    """The last question, and what the tools have returned since."""
    question, results = "", dict[str, str]()
    for part in (part for message in messages for part in message.parts):
        match part:
            case UserPromptPart(content=str(content)):
                question, results = content, {}
            case ToolReturnPart():
                denied = part.outcome == "denied"
                results[part.tool_name] = "There was no report." if denied else part.model_response_str()
            case _:
                pass
    return question, results


def _city(question: str) -> str:
    """The last name in the question that is not its first word."""
    names: list[str] = re.findall(r"(?<=\s)[A-Z][a-zà-ÿ]+", question)
    return names[-1] if names else "Lisbon"


def _respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    turn = script(messages, info)
    return ModelResponse(parts=[*([TextPart(turn.text)] if turn.text else []), *turn.calls])


async def _speak(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | dict[int, DeltaToolCall]]:
    turn = script(messages, info)
    for word in re.findall(r"\S+\s*", turn.text):
        await pace.word()
        yield word
    for number, call in enumerate(turn.calls, 1):
        yield {number: DeltaToolCall(call.tool_name, call.args_as_json_str(), tool_call_id=call.tool_call_id)}


scripted_model = FunctionModel(_respond, stream_function=_speak, model_name="scripted")
