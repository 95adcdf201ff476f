"""`serve`: the HTTP API of a LocalWorld file, with a worker."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.support import clock
from tests.unit.cli.conftest import FLOWS, Cli
from worldflow.serving.worker_turns import WorkerTurns

pytestmark = pytest.mark.skipif(not find_spec("uvicorn"), reason="the extra serve is not installed")

ROOT = Path(__file__).parents[3]
TOKEN = "a-token-of-more-than-20-characters"


@contextmanager
def serving(cli: Cli, *options: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The server's process, and its address."""
    command = [
        sys.executable,
        "-m",
        "worldflow",
        "serve",
        "--local",
        str(cli.file),
        "-w",
        FLOWS,
        "--port",
        "0",
        "--json",
    ]
    with subprocess.Popen(
        [*command, *options],
        env=clock.environment(**environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            assert said, process.stderr and process.stderr.read()
            yield process, json.loads(said)["url"]
        finally:
            process.kill()


def ask(url: str, body: Any = None, token: str | None = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_is_started_and_served_until_it_is_told_to_end(cli: Cli, number: signal.Signals) -> None:
    with serving(cli) as (process, url):
        status, _ = ask(f"{url}/runs", {"workflow": "tomorrow", "run_id": "r1", "input": {"day": "2026-02-28"}})
        assert status == 201
        assert cli.json("start", "tomorrow", "--run-id", "r1", "--wait")["result"] == "2026-03-01"
        assert json.loads(ask(f"{url}/runs/r1")[1])["status"] == "completed"
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
        assert (process.returncode, errors) == (0, "")


def test_with_a_token_and_beside_a_worker(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    with serving(cli, "--host", "0.0.0.0", "--token-file", str(tmp_path / "token")) as (_, url):
        url = url.replace("0.0.0.0", "127.0.0.1")
        with serving(cli, WORLDFLOW_API_TOKEN=TOKEN[::-1]) as (_, other):
            assert ask(f"{url}/metrics")[0] == ask(f"{url}/metrics", token=TOKEN[::-1])[0] == 401
            assert "worldflow_served 1" in ask(f"{url}/metrics", token=TOKEN)[1]
            assert ask(f"{other}/runs", token=TOKEN[::-1])[0] == 200


def test_it_fails_with_its_worker(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bool:
        raise KeyError("a fault")

    monkeypatch.setattr(WorkerTurns, "take", fail)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    ended = cli.run("serve", "--port", "0", "-w", FLOWS)
    assert (ended.exit_code, ended.stderr) == (1, "Error: the worker cannot continue: KeyError: 'a fault'\n")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "runs.example"])
def test_without_a_token_it_listens_on_this_machine_only(cli: Cli, host: str) -> None:
    assert cli.fails("serve", "--host", host, "-w", FLOWS) == (
        f"Error: other machines can reach {host}: set a token in WORLDFLOW_API_TOKEN, or in a file named with "
        "--token-file\n"
    )


@pytest.mark.parametrize("token", ["", "short", "with a space and more than 20", "ümlaut-and-more-than-twenty"])
def test_a_token_that_is_easy_to_guess_or_no_token_is_refused(cli: Cli, tmp_path: Path, token: str) -> None:
    (tmp_path / "token").write_text(token)
    assert cli.fails("serve", "--token-file", str(tmp_path / "token"), "-w", FLOWS) == (
        f"Error: the token in {tmp_path / 'token'} must have at least 20 ASCII characters and no spaces\n"
    )


def test_a_variable_that_has_come_out_empty_is_refused(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLDFLOW_API_TOKEN", "")
    assert cli.fails("serve", "-w", FLOWS) == (
        "Error: the token in WORLDFLOW_API_TOKEN must have at least 20 ASCII characters and no spaces\n"
    )


def test_an_address_that_is_taken_is_named(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        taken = f"Error: cannot listen at 127.0.0.1, port {port}: {os.strerror(errno.EADDRINUSE)}\n"
        assert cli.fails("serve", "--port", port, "-w", FLOWS) == taken


def test_a_stack_has_its_own(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli.fails("serve", "--stack", "shop") == (
        "Error: stack 'shop' has its own API; name a LocalWorld file with --local FILE\n"
    )
