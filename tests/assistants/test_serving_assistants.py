"""As an assistant starts it: another process, which speaks over its standard streams, or over HTTP."""

import asyncio
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from mcp import Client, StdioServerParameters, stdio_client
from typer.testing import CliRunner

from tests.unit.cli import flows
from worldflow.cli import app
from worldflow.runtime import starting
from worldflow.worlds import LocalWorld

NOISY = "print('loading'); import tests.unit.cli.flows\n"
LIMIT = 60


def _command(file: Path, *options: str) -> list[str]:
    return ["-m", "worldflow", "mcp", "--local", str(file), "--workflows", "noisy_flows", *options]


def _environment(folder: Path) -> dict[str, str]:
    (folder / "noisy_flows.py").write_text(NOISY)
    return {**os.environ, "PYTHONPATH": ":".join([str(folder), *sys.path])}


async def test_over_standard_streams(tmp_path: Path) -> None:
    file = tmp_path / "runs.db"
    with closing(LocalWorld(file)) as world:
        starting.start(world, "judged-1", flows.judged, {})
    server = StdioServerParameters(command=sys.executable, args=_command(file), env=_environment(tmp_path))

    async with asyncio.timeout(LIMIT), Client(stdio_client(server)) as client:
        runs = await client.call_tool("list_runs", {})
        workflows = await client.call_tool("list_workflows", {})

    assert runs.structured_content and workflows.structured_content
    assert [run["run_id"] for run in runs.structured_content["runs"]] == ["judged-1"]
    assert "judged" in [workflow["name"] for workflow in workflows.structured_content["workflows"]]


def test_what_modules_print_does_not_reach_the_protocol(tmp_path: Path) -> None:
    LocalWorld(tmp_path / "runs.db").close()
    command = [sys.executable, *_command(tmp_path / "runs.db")]

    done = subprocess.run(
        command, env=_environment(tmp_path), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )

    assert done.stdout == ""
    assert "loading" in done.stderr


async def test_over_http_on_this_machine_only(tmp_path: Path, unused_tcp_port: int) -> None:
    file = tmp_path / "runs.db"
    command = [sys.executable, *_command(file, "--allow-writes", "--http", str(unused_tcp_port))]
    with subprocess.Popen(command, env=_environment(tmp_path), stderr=subprocess.PIPE, text=True) as process:
        try:
            async with asyncio.timeout(LIMIT):
                await _listens(unused_tcp_port)
                async with Client(f"http://127.0.0.1:{unused_tcp_port}/mcp") as client:
                    started = await client.call_tool("start_run", {"workflow": "judged", "run_id": "judged-1"})
        finally:
            process.terminate()
            _, said = process.communicate()

    assert started.structured_content and started.structured_content["created"] is True
    assert f"Serving at http://127.0.0.1:{unused_tcp_port}/mcp." in said


async def _listens(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            await writer.wait_closed()
            return


def test_a_file_that_is_not_there_is_not_created_for_reading(tmp_path: Path) -> None:
    file = tmp_path / "runs.db"
    said = CliRunner().invoke(app, ["mcp", "--local", str(file)])
    assert (said.exit_code, said.stdout) == (1, "")
    assert "there is no file" in said.stderr
    assert not file.exists()
