"""A stream in a terminal: text as it comes, other values a line each, and a line for a reset.

Of the events of agents, those of `worldflow.ai.pydantic`, it shows the text of answers and the calls of tools.
"""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from worldflow.engine.history import StreamItem, StreamReset
from worldflow.presentation.words import as_json, printable


class StreamText:
    def __init__(self, out: Console) -> None:
        self._out = out
        self._is_in_line = False

    def show(self, item: StreamItem | StreamReset) -> None:
        if isinstance(item, StreamReset):
            self.close()
            who = f"attempt {item.attempt} of {item.step_id}" if item.step_id else "the workflow"
            told = f"-- {who} starts again: what it wrote from offset {item.since} on is void --"
            self._out.print(told, style="yellow", soft_wrap=True)
        elif isinstance(item.value, str):
            self._continue(item.value)
        else:
            match item.value:
                case {"event_kind": "part_start", "part": {"part_kind": "text", "content": str(text)}} | {
                    "event_kind": "part_delta",
                    "delta": {"part_delta_kind": "text", "content_delta": str(text)},
                }:
                    self._continue(text)
                case {"event_kind": "function_tool_call", "part": {"tool_name": str(name), "args": arguments}}:
                    shown = arguments if isinstance(arguments, str) else as_json(arguments)
                    self._line(f"-- calls {name} {shown} --")
                case {"event_kind": str()}:
                    pass
                case value:
                    self._line(as_json(value))

    def _continue(self, value: str) -> None:
        text = _lines(value)
        self._out.print(Text(text, end=""), end="", soft_wrap=True)
        self._is_in_line = not text.endswith("\n") if text else self._is_in_line

    def _line(self, line: str) -> None:
        self.close()
        self._out.print(Text(printable(line)), soft_wrap=True)

    def close(self) -> None:
        """Ends a line that text has begun."""
        if self._is_in_line:
            self._out.print()
            self._is_in_line = False


def _lines(text: str) -> str:
    """Text that cannot move the cursor or change the colours of a terminal."""
    return "".join(character if character.isprintable() or character in "\n\t" else " " for character in text)
