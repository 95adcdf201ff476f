import io
from typing import Any

from rich.console import Console

from worldflow.engine.history import StreamItem
from worldflow.presentation.streams import StreamText

CALL = {"tool_name": "weather", "args": '{"city": "Graz"}', "part_kind": "tool-call"}


def shown(*values: Any) -> str:
    out = io.StringIO()
    text = StreamText(Console(file=out, highlight=False, markup=False, width=80))
    for offset, value in enumerate(values, 1):
        text.show(StreamItem(offset=offset, value=value, step_id="s1", attempt=1))
    text.close()
    return out.getvalue()


def test_text_is_shown_as_text_and_each_call_of_a_tool_has_a_line():
    assert (
        shown(
            {"event_kind": "part_start", "part": {"part_kind": "text", "content": "Let me "}},
            {"event_kind": "part_delta", "delta": {"part_delta_kind": "text", "content_delta": "see."}},
            {"event_kind": "part_end", "part": {"part_kind": "text", "content": "Let me see."}},
            {"event_kind": "part_start", "part": CALL},
            {"event_kind": "function_tool_call", "part": CALL},
            {"event_kind": "function_tool_call", "part": {**CALL, "args": {"city": "Linz"}}},
            {"event_kind": "part_delta", "delta": {"part_delta_kind": "thinking", "content_delta": "hm"}},
            {"event_kind": "part_start", "part": {"part_kind": "text", "content": "Sunny."}},
        )
        == 'Let me see.\n-- calls weather {"city": "Graz"} --\n-- calls weather {"city": "Linz"} --\nSunny.\n'
    )


def test_the_text_of_an_answer_cannot_move_the_cursor():
    start = {"event_kind": "part_start", "part": {"part_kind": "text", "content": "\x1b[2Jred"}}
    call = {"event_kind": "function_tool_call", "part": {**CALL, "args": "\x1b[2J"}}
    assert "\x1b" not in shown(start, call)


def test_values_that_are_no_events_are_shown_as_json():
    assert shown({"event_kind": 1}, {"part": CALL["tool_name"]}) == '{"event_kind": 1}\n{"part": "weather"}\n'
