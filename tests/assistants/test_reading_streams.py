from tests.support.assistant import Assistant
from tests.support.systems import LocalSystem, signal, start
from worldflow import open_stream, step, wait_for_signal, workflow
from worldflow.mcp.server import create_server
from worldflow.mcp.showing import HIDDEN, NOTE


@step
async def narrate_for_assistants() -> None:
    async with open_stream("tale", str) as tale:
        for word in ("once", "upon", "a time", "long " * 1_000):
            await tale.write(word)
    async with open_stream("moral", str) as moral:
        for word in ("be", "kind"):
            await moral.write(word)
        await moral.close()


@workflow
async def narrates_for_assistants() -> None:
    await narrate_for_assistants()
    await wait_for_signal("end")


def test_a_stream_is_read_page_by_page(local: LocalSystem, reader: Assistant) -> None:
    start(local, "tale-1", narrates_for_assistants)

    assert reader.call("get_run", run_id="tale-1")["streams"] == ["moral", "tale"]
    first = reader.call("read_stream", run_id="tale-1", name="tale", limit=2)
    rest = reader.call("read_stream", run_id="tale-1", name="tale", after=first["next"])

    assert [item["value"] for item in first["items"]] == ["once", "upon"]
    assert [item["offset"] for item in rest["items"]] == [3, 4]
    assert (first["ended"], rest["ended"]) == (False, False)
    assert first["note"] == NOTE


def test_a_page_that_is_cut_is_not_the_end(local: LocalSystem, reader: Assistant) -> None:
    start(local, "tale-1", narrates_for_assistants)

    pages = [reader.call("read_stream", run_id="tale-1", name="moral", limit=limit) for limit in (1, 200)]

    assert [page["ended"] for page in pages] == [False, True]


def test_a_stream_ends_with_its_run(local: LocalSystem, reader: Assistant) -> None:
    start(local, "tale-1", narrates_for_assistants)
    signal(local, "tale-1", "end")

    assert reader.call("read_stream", run_id="tale-1", name="tale", limit=2)["ended"] is False
    assert reader.call("read_stream", run_id="tale-1", name="tale", after=4)["ended"] is True


def test_a_long_value_is_whole_if_it_is_the_only_one(local: LocalSystem, reader: Assistant) -> None:
    start(local, "tale-1", narrates_for_assistants)

    (cut,) = reader.call("read_stream", run_id="tale-1", name="tale", after=3)["items"]
    (whole,) = reader.call("read_stream", run_id="tale-1", name="tale", after=3, limit=1)["items"]

    assert cut["value"]["whole"] == "read_stream with after=3 and limit=1"
    assert whole["value"] == "long " * 1_000


def test_without_payloads_no_value_is_shown(local: LocalSystem) -> None:
    start(local, "tale-1", narrates_for_assistants)
    hidden = Assistant(create_server(local.world, payloads=False))

    for limit in (1, 200):
        items = hidden.call("read_stream", run_id="tale-1", name="tale", limit=limit)["items"]
        assert {item["value"] for item in items} == {HIDDEN}
