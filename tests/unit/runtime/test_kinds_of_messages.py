"""Of what kind a message is: told by its fields, checked by what is made when the first of that kind comes."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from worldflow.engine.history import Parent, StepCompleted
from worldflow.worlds.messages import (
    Delayed,
    FactArrived,
    HeartbeatDue,
    Poke,
    Revival,
    ScheduledRunEnded,
    ScheduleDue,
    Start,
    StepDue,
    StepTask,
    load_message,
    summary,
)

AT = datetime(2026, 1, 15, 10, tzinfo=UTC)
MESSAGES = [
    Start(run_id="r~c1", asked_by=Parent(run_id="r", child_id="c1")),
    FactArrived(run_id="r", fact=StepCompleted(step_id="s1", result=1), revival=Revival(workflow_name="w", input=[2])),
    StepDue(run_id="r", step_id="s1", attempt=2),
    HeartbeatDue(run_id="r", step_id="s1", attempt=2, due=AT),
    Poke(run_id="r", after=3),
    StepTask(run_id="r", step_id="s1", name="charge", input={"amount": 1}, deadline=AT),
    ScheduleDue(schedule_id="nightly", due=AT),
    ScheduledRunEnded(schedule_id="nightly", run_id="nightly:20260115T100000Z"),
]


def in_a_fresh_process(code: str, text: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def test_the_first_message_of_a_process_is_written_as_it_came() -> None:
    """Each comes to a process that has met no other: a fork of one that has only imported what reads them."""
    code = (
        "import os, sys\n"
        "from worldflow.worlds.messages import load_message\n"
        "for text in sys.stdin.read().splitlines():\n"
        "    if not os.fork():\n"
        "        delayed = load_message(text)\n"
        "        print(delayed.dump(), delayed.message.dump(), sep='\\n', flush=True)\n"
        "        os._exit(0)\n"
        "    assert os.wait()[1] == 0\n"
    )
    texts = [Delayed(due=AT, message=message).dump() for message in MESSAGES]
    written = in_a_fresh_process(code, "\n".join(texts)).splitlines()
    assert written == [line for text, message in zip(texts, MESSAGES, strict=True) for line in (text, message.dump())]


def test_a_process_makes_only_what_it_meets() -> None:
    """All thirteen kinds of facts took a cold start longer than a step."""
    code = (
        "import sys\n"
        "from worldflow.engine.history import BaseEvent, StepCompleted\n"
        "from worldflow.worlds.messages import Delayed, FactArrived, Message, load_message\n"
        "from typing import get_args\n"
        "made = []\n"
        "make = BaseEvent.__get_pydantic_core_schema__.__func__\n"
        "recorded = lambda cls, *how: made.append(cls.__name__) or make(cls, *how)\n"
        "BaseEvent.__get_pydantic_core_schema__ = classmethod(recorded)\n"
        "task = load_message(sys.stdin.read())\n"
        "FactArrived(run_id='r', fact=StepCompleted(step_id='s1')).dump()\n"
        "print(*made, '-', *(kind.__name__ for kind in (*get_args(Message), Delayed) if kind.__pydantic_complete__))\n"
    )
    task = StepTask(run_id="r", step_id="s1", name="charge")
    assert in_a_fresh_process(code, task.dump()).split() == ["-", "FactArrived", "StepTask"]


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ("hello", "body: json_invalid"),
        ([], "body: dict_type"),
        ({}, "body: union_tag_not_found"),
        ({"kind": ["start"]}, "body: union_tag_not_found"),
        ({"kind": "stop"}, "body: union_tag_invalid"),
        ({"kind": "start"}, "run_id: missing"),
        ({"kind": "start", "run_id": "r", "v": 2}, "v: literal_error"),
        ({"kind": "fact", "run_id": "r", "fact": None}, "fact: dict_type"),
        ({"kind": "fact", "run_id": "r", "fact": {"event_type": {}}}, "fact: union_tag_not_found"),
        ({"kind": "fact", "run_id": "r", "fact": {"event_type": "StepScheduled"}}, "fact: union_tag_invalid"),
        ({"kind": "fact", "run_id": "r", "fact": {"event_type": "StepCompleted"}}, "fact.step_id: missing"),
        ({"kind": "delayed", "due": "2026-01-15T10:00:00Z", "message": {"kind": "start"}}, "message.run_id: missing"),
        (
            {"kind": "delayed", "due": "2026-01-15T10:00:00Z", "message": {"kind": "delayed"}},
            "message: union_tag_invalid",
        ),
    ],
    ids=str,
)
def test_what_is_no_message_is_refused_with_the_place(body: Any, wrong: str) -> None:
    with pytest.raises(ValidationError) as refused:
        load_message(body if isinstance(body, str) else json.dumps(body))
    assert summary(refused.value) == wrong
