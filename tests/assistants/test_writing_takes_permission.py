import asyncio

import pytest

from tests.support.assistant import Assistant
from tests.support.systems import LocalSystem, start
from tests.unit.cli import flows
from worldflow import workflow
from worldflow.mcp.server import WRITING


@workflow
async def picky_for_assistants(number: int) -> int:
    if number < 0:
        raise ValueError("negative")
    return number // 2


def test_a_server_reads_only_unless_it_may_write(reader: Assistant, assistant: Assistant) -> None:
    assert assistant.tools().keys() - reader.tools().keys() == WRITING.keys()
    assert all(tool.annotations and tool.annotations.read_only_hint for tool in reader.tools().values())
    assert "Unknown tool" in reader.fails("cancel_run", run_id="x")


def test_tools_that_write_are_marked(assistant: Assistant) -> None:
    tools = {name: tool.annotations for name, tool in assistant.tools().items() if name in WRITING}

    assert not any(tool and tool.read_only_hint for tool in tools.values())
    destructive = {name for name, tool in tools.items() if tool and tool.destructive_hint}
    assert destructive == {"send_signal", "resume_hook", "send_update", "cancel_run"}


def test_every_tool_and_argument_is_described(assistant: Assistant) -> None:
    for name, tool in assistant.tools().items():
        assert tool.description and tool.output_schema, name
        for argument, schema in tool.input_schema["properties"].items():
            assert schema.get("description"), (name, argument)


def test_starting_with_a_wrong_input(assistant: Assistant) -> None:
    told = assistant.fails("start_run", workflow="tomorrow", input={"day": "soon"})

    assert "the input does not fit tomorrow(day: datetime.date): day: " in told


def test_starting_twice_with_an_id_starts_once(assistant: Assistant) -> None:
    started = [assistant.call("start_run", workflow="judged", run_id="judged-1") for _ in range(2)]

    assert [answer["created"] for answer in started] == [True, False]


def test_a_signal_with_an_id_is_delivered_once(local: LocalSystem, assistant: Assistant) -> None:
    start(local, "asked-1", flows.ask)

    for _ in range(2):
        assistant.call("send_signal", run_id="asked-1", name="answer", value=42, signal_id="one")
    local.settle()

    assert assistant.call("get_run", run_id="asked-1")["run"]["result"] == {"Well?": 42}
    told = assistant.fails("send_signal", run_id="asked-1", name="answer", value=43)
    assert "fork_run" in told


def test_a_signal_of_a_wrong_type_is_refused(local: LocalSystem, assistant: Assistant) -> None:
    start(local, "judged-1", flows.judged)

    told = assistant.fails("send_signal", run_id="judged-1", name="verdict", value="perhaps")

    assert "the value does not fit the signal 'verdict' of judged" in told


def test_a_hook_is_resumed(local: LocalSystem, assistant: Assistant) -> None:
    start(local, "door-1", flows.door)

    assert assistant.call("resume_hook", token="front-door", value="knock")["run_id"] == "door-1"
    local.settle()

    assert assistant.call("get_run", run_id="door-1")["run"]["result"] == "knock"
    assert "HookCreated" in assistant.fails("resume_hook", token="front-door", value="again")


async def test_an_update_is_answered(local: LocalSystem, assistant: Assistant) -> None:
    await asyncio.to_thread(start, local, "basket-1", flows.basket)

    call = asyncio.create_task(
        asyncio.to_thread(assistant.call, "send_update", run_id="basket-1", name="add", args=["pear", 2])
    )
    while not call.done():
        await asyncio.to_thread(local.settle)
        await asyncio.sleep(0.01)

    assert (await call)["reply"] == 2


def test_an_update_that_is_not_answered_in_time_can_be_sent_again(local: LocalSystem, assistant: Assistant) -> None:
    start(local, "basket-1", flows.basket)

    told = assistant.fails("send_update", run_id="basket-1", name="add", args=["pear"], update_id="u1", timeout=1)

    assert "retry with update_id='u1'" in told


def test_a_failed_run_is_retried_and_a_run_forked(
    local: LocalSystem, assistant: Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(local, "doomed-1", flows.doomed)
    monkeypatch.setattr(flows, "hope", True)

    retried = assistant.call("retry_run", run_id="doomed-1")
    forked = assistant.call("fork_run", run_id="doomed-1", new_run_id="doomed-2", after=2)
    local.settle()

    for run_id in (retried["run_id"], forked["run_id"]):
        assert assistant.call("get_run", run_id=run_id)["run"]["result"] == "carried on"
    assert "only a failed run can be retried" in assistant.fails("retry_run", run_id="doomed-2")


def test_a_run_is_forked_with_another_signal(local: LocalSystem, assistant: Assistant) -> None:
    start(local, "asked-1", flows.ask)
    assistant.call("send_signal", run_id="asked-1", name="answer", value="no")
    local.settle()
    (received,) = (
        event["seq"]
        for event in assistant.call("read_history", run_id="asked-1")["events"]
        if event["event_type"] == "SignalReceived"
    )

    assistant.call("fork_run", run_id="asked-1", new_run_id="asked-2", edit={str(received): "yes"})
    local.settle()

    assert assistant.call("get_run", run_id="asked-2")["run"]["result"] == {"Well?": "yes"}
    told = assistant.fails("fork_run", run_id="asked-1", new_run_id="asked-3", edit={"last": "yes"})
    assert "neither the number of an event nor 'input'" in told


def test_a_failed_run_is_retried_with_another_input(local: LocalSystem, assistant: Assistant) -> None:
    start(local, "picky-1", picky_for_assistants, number=-1)

    assistant.call("retry_run", run_id="picky-1", input={"number": 4})
    local.settle()

    assert assistant.call("get_run", run_id="picky-1~2")["run"]["result"] == 2
