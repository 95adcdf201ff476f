"""The commands of docs/hosting/small-production.md, run."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from typer.main import get_command

from tests.docs.pages import PROJECT, blocks
from tests.support import clock
from worldflow import wait_for_signal, workflow
from worldflow.cli import app
from worldflow.logs import about
from worldflow.runtime import Orchestrator
from worldflow.worker import BackgroundWorker, Worker
from worldflow.worlds import LocalWorld

PAGE = "docs/hosting/small-production.md"


def block(beginning: str) -> str:
    """The commands of the page that begin like this."""
    (found,) = (code for code in blocks(PAGE, "sh") if code.startswith(beginning))
    return found


def run(commands: str, folder: Path, *modules: Path) -> str:
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = clock.environment(*modules, PATH=path)
    command = ["bash", "-euc", commands]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.one_python
def test_a_run_is_started_over_http(tmp_path: Path) -> None:
    pytest.importorskip("uvicorn")
    server, client = block("export WORLDFLOW_API_TOKEN"), block("curl -s http://127.0.0.1:8000/runs")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    commands = f"{server.rstrip()} --port {port} &\n" + client.replace(":8000", f":{port}")
    asks = "curl -s --retry 9 --retry-connrefused --retry-delay 1"
    said = run(commands.replace("curl -s", asks) + "kill %1; wait %1", tmp_path, PROJECT / "layers/workflows")
    serving, started, shown = said.replace("}{", "}\n{").splitlines()
    assert serving == f"Serving runs.db at http://127.0.0.1:{port}. Stop with Ctrl-C."
    assert json.loads(started) == {"run_id": "greeting-1", "workflow": "hello", "status": "pending"}
    assert json.loads(shown)["input"] == {"name": "Ada"}


@workflow(name="restored_run")
async def waits() -> int:
    return int(await wait_for_signal("go", int))


@pytest.mark.one_python
def test_a_run_continues_in_a_file_that_is_restored(tmp_path: Path) -> None:
    file = tmp_path / "runs.db"
    with closing(LocalWorld(file)) as world, BackgroundWorker(Worker(world)):
        orders = Orchestrator(world).sync
        orders.start_workflow("r1", waits)
        assert run(block("python -m worldflow backup"), tmp_path).startswith("Copied runs.db to runs-copy.db (")
        orders.signal("r1", "go", 1)
        assert orders.run("r1").result(timeout="20s") == 1
        orders.start_workflow("r2", waits)
        run(block("mkdir old"), tmp_path)
    with closing(LocalWorld(file)) as world, BackgroundWorker(Worker(world)):
        assert [record.run_id for record in world.list_runs().runs] == ["r1"]
        orders = Orchestrator(world).sync
        orders.signal("r1", "go", 2)
        assert orders.run("r1").result(timeout="20s") == 2


def test_the_log_of_an_application_names_the_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.Logger("root")
    monkeypatch.setattr(logging, "root", root)
    (code,) = blocks(PAGE)
    exec(code, {})
    with about(run_id="order-1001", step_id="s3", attempt=1):
        root.warning("charged")
    assert capsys.readouterr().err.endswith(" WARNING [order-1001 s3/1] charged\n")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_the_unit_is_one(tmp_path: Path) -> None:
    (code,) = (code for code in blocks(PAGE, "text") if code.startswith("[Unit]"))
    unit = tmp_path / "worldflow.service"
    unit.write_text(code.replace("/opt/shop/.venv/bin/python", sys.executable))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_services_commands_are_ours() -> None:
    services = "\n".join(blocks(PAGE, "text"))
    commands = re.findall(r"ExecStart=\S+ -m worldflow (.*)$", services, re.MULTILINE)
    commands += [" ".join(json.loads(found)[3:]) for found in re.findall(r"^CMD (.*)$", services, re.MULTILINE)]
    assert len(commands) == 2
    for name, *options in map(str.split, commands):
        getattr(get_command(app), "commands")[name].make_context(None, options).close()  # noqa: B009  the type is click's
    copied = re.findall(r"^COPY (\S+)", services, re.MULTILINE)
    assert copied and all((PROJECT / source).exists() for source in copied)
