"""`backup`: a copy of a file that is in use, from which another worker continues."""

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Cli, Worked
from tests.unit.cli.flows import ask
from worldflow.runtime import Orchestrator
from worldflow.worker import BackgroundWorker, Worker
from worldflow.worlds import LocalWorld


def test_runs_continue_in_the_copy_from_where_they_were(cli: Cli, worked: Worked) -> None:
    with worked():
        cli("start", "ask", "--run-id", "r1")
        copied = cli.json("backup", str(cli.file), f"{cli.file}.copy")
        cli("signal", "r1", "answer", "--value", "1")
        assert finish(cli.file) == {"Well?": 1}
    assert copied["bytes"] > 0
    copy = Cli(cli.file.with_name("runs.db.copy"))
    assert [path.name for path in cli.file.parent.glob("*copy*")] == ["runs.db.copy"]
    copy("signal", "r1", "answer", "--value", "2")
    with closing(LocalWorld(copy.file)) as world, BackgroundWorker(Worker(world)):
        assert finish(copy.file) == {"Well?": 2}


def finish(file: Path) -> Any:
    with closing(LocalWorld(file)) as world:
        return Orchestrator(world).sync.run("r1").result(timeout="20s")


def test_writers_are_not_blocked_and_the_copy_is_of_one_moment(cli: Cli) -> None:
    with closing(LocalWorld(cli.file)) as world:
        orchestrator = Orchestrator(world)
        ended = threading.Event()

        def write() -> None:
            async def starts() -> None:
                while not ended.is_set():
                    number = len(started)
                    await orchestrator.start_workflow(f"r{number}", ask)
                    started.append(number)

            asyncio.run(starts())

        started: list[int] = []
        writer = threading.Thread(target=write)
        writer.start()
        try:
            for number in range(5):
                before = len(started)
                cli("backup", str(cli.file), f"{cli.file}.{number}")
                with closing(sqlite3.connect(f"{cli.file}.{number}")) as copy:
                    (runs,) = copy.execute("select count(*) from runs").fetchone()
                    (messages,) = copy.execute("select count(*) from messages").fetchone()
                    # A run and the message that starts it are written together.
                    assert before <= runs == messages
        finally:
            ended.set()
            writer.join()


def test_what_is_no_file_of_ours_is_refused(cli: Cli) -> None:
    copy = cli.file.with_name("copy.db")
    assert cli.fails("backup", str(cli.file), str(copy)) == f"Error: there is no file {cli.file}\n"
    cli.file.write_text("not a database, but long enough to be asked whether it is one")
    assert "file is not a database" in cli.fails("backup", str(cli.file), str(copy))
    cli.file.write_bytes(b"")
    assert cli.fails("backup", str(cli.file), str(copy)) == f"Error: {cli.file} is not a LocalWorld file\n"
    assert not list(cli.file.parent.glob("copy*"))


@pytest.mark.parametrize("is_the_file_itself", [True, False])
def test_no_file_is_replaced(cli: Cli, is_the_file_itself: bool) -> None:
    cli("start", "ask", "--run-id", "r1")
    copy = cli.file if is_the_file_itself else cli.file.with_name("copy.db")
    copy.touch()
    assert cli.fails("backup", str(cli.file), str(copy)) == f"Error: {copy} already exists\n"


def test_a_file_beside_the_copy_is_left_alone(cli: Cli) -> None:
    cli("start", "ask", "--run-id", "r1")
    beside = cli.file.with_name("copy.db.partial")
    beside.write_text("mine")
    cli("backup", str(cli.file), str(cli.file.with_name("copy.db")))
    assert beside.read_text() == "mine"


def test_the_copy_is_as_private_as_the_file(cli: Cli) -> None:
    cli("start", "ask", "--run-id", "r1")
    cli.file.chmod(0o600)
    cli("backup", str(cli.file), str(cli.file.with_name("copy.db")))
    assert cli.file.with_name("copy.db").stat().st_mode & 0o777 == 0o600
