"""An agent's answer, word by word, while its reader and the functions that serve it are killed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import Console

from tools.agent.reader import Reader
from worldflow.devtools.demo import DemoFailed, expect, price_table
from worldflow.devtools.stack import Stack
from worldflow.engine.history.state import RunState
from worldflow.presentation import timeline
from worldflow.presentation.usage import usage_table
from worldflow.settings import Settings
from worldflow.token_prices import load_prices, priced, sum_of
from worldflow.worlds import AWSWorld

RUN = "research-1"
STREAM = "answer"
QUESTION = "Should we open a café in Lisbon?"
PRICES = {"scripted": {"input": 3.0, "output": 15.0}}
"""Dollars for a million tokens of the script: those of a large model."""
READER_DIES, FUNCTIONS_DIE = 25, 50
"""At so many words of an answer. Those before the last one are shorter."""


class Screen:
    """What the model says, and notes on what happens between its words."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._is_speaking = False

    def word(self, text: str) -> None:
        if not self._is_speaking:
            self._console.print()
        self._is_speaking = True
        self._console.print(text, end="", markup=False)

    def note(self, text: str) -> None:
        if self._is_speaking:
            self._console.print("\n")
        self._is_speaking = False
        self._console.print(f"   {text}", style="dim", markup=False)


class Story:
    """Reads one run to its end, and does to it what may happen in months of production."""

    def __init__(self, stack: Stack, console: Console) -> None:
        self._stack, self._screen = stack, Screen(console)
        self._offset = 0
        self._step: str | None = None
        self._words = 0
        """That this step has said."""
        self._plans: list[tuple[int, Callable[[], None]]] = [
            (READER_DIES, self._kill_the_reader),
            (FUNCTIONS_DIE, self._kill_the_functions),
        ]
        self.resets = 0
        self.killed: list[str] = []

    def tell(self) -> None:
        self._screen.note(f"POST /runs  {QUESTION}")
        asked = {"workflow": "research", "run_id": RUN, "input": {"question": QUESTION}}
        expect(201, self._stack.call("POST", "/runs", asked))
        self._reader = Reader(self._stack, RUN, STREAM)
        try:
            while not self._read():
                pass
        finally:
            self._reader.close()

    def _read(self) -> bool:
        """Shows what the reader reads. Returns False if another reader is to go on."""
        reader = self._reader
        for item in reader:
            self._offset = item["offset"]
            self._show(item)
            if self._plans and self._words >= self._plans[0][0]:
                self._plans.pop(0)[1]()
                if self._reader is not reader:
                    return False
        if problem := reader.problem():
            raise DemoFailed(f"the reader ended: {problem}")
        return True

    def _show(self, item: dict[str, Any]) -> None:
        if item["step_id"] != self._step:
            self._step, self._words = item["step_id"], 0
        match item:
            case {"reset": True, "attempt": attempt}:
                self.resets += 1
                self._words = 0
                self._screen.note(f"The step has died. Its attempt {attempt} begins anew, and readers are told so.")
            case {"value": {"event_kind": "part_start", "part": {"part_kind": "text", "content": str(text)}}}:
                self._word(text)
            case {"value": {"event_kind": "part_delta", "delta": {"content_delta": str(text)}}}:
                self._word(text)
            case {"value": {"event_kind": "part_start", "part": {"part_kind": "tool-call", "tool_name": name}}}:
                self._screen.note(f"calls {name}")
            case {"value": {"kind": "approval", "tool_name": name, "args": args, "token": token}}:
                self._approve(name, args, token)
            case _:
                pass

    def _word(self, text: str) -> None:
        self._words += len(text.split())
        self._screen.word(text)

    def _approve(self, tool: str, args: Any, token: str) -> None:
        given = ", ".join(f"{name}={value!r}" for name, value in args.items())
        self._screen.note(f"{tool}({given}) needs approval. Nothing runs while the agent waits, for up to three days.")
        expect(202, self._stack.call("POST", f"/hooks/{token}", True))
        self._screen.note(f"POST /hooks/{token}  true")

    def _kill_the_reader(self) -> None:
        self._reader.kill()
        self.killed.append("reader")
        self._screen.note(f"kill -9 {self._reader.pid}, the reader. Another one reads on after offset {self._offset}.")
        self._reader.close()
        self._reader = Reader(self._stack, RUN, STREAM, self._offset)

    def _kill_the_functions(self) -> None:
        for function in ("Orchestrator", "StepExecutor"):
            pids = self._stack.aws.kill_workers(self._stack.outputs[f"{function}FunctionName"])
            self.killed += [function] * len(pids)
            self._screen.note(f"kill -9 {' '.join(map(str, pids))}, all processes of the {function}.")


def summary(stack: Stack, console: Console) -> str:
    """Shows the answer, the timeline, and what the run has cost. Returns the answer."""
    usage = stack.aws.usage()
    world = AWSWorld(Settings.from_environment(stack.environment), session=stack.aws.observer())
    record, events = world.read_run(RUN), world.read_events(RUN)
    if record.status != "completed":
        raise DemoFailed(f"the run is {record.status}: {record.error or record.blocked_reason}")
    console.print("\n\nAnswer", style="bold")
    console.print(record.result, markup=False)
    console.print("\nTimeline", style="bold")
    console.print(timeline(events))
    tokens = priced(RunState(events).usage.entries(), load_prices() or PRICES)
    console.print("\nTokens of this run", style="bold")
    console.print(usage_table(tokens))
    console.print("\nWhat AWS would have charged for a million of such runs, with their readers", style="bold")
    console.print(price_table(usage))
    console.print(f"\nTokens of one run: ${sum_of(tokens):.6f}.", style="bold")
    return str(record.result)
