"""The servers of `examples/`, as their READMEs start them, on a free port."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]

FRAMEWORKS = ("fastapi", "flask", "django")


class Page:
    """The README of an example."""

    def __init__(self, framework: str) -> None:
        self.text = (ROOT / "examples" / framework / "README.md").read_text()
        self._server, self.session, self._printed, _ = re.findall(r"^```\w+\n(.*?)^```$", self.text, re.M | re.S)

    @property
    def command(self) -> list[str]:
        """What starts the server; here on a free port."""
        _, server, *arguments = shlex.split(self._server)
        return [server, *{"uvicorn": ["--port", "0"], "gunicorn": ["--bind", "127.0.0.1:0"]}[server], *arguments]

    def shipment(self, shop: Server) -> tuple[str, str]:
        """What the session with curl prints last, and what the page says that it prints."""
        session = self.session.replace("http://127.0.0.1:8000", shop.url)
        done = subprocess.run(["bash", "-ec", session], capture_output=True, text=True, check=True, timeout=60)
        return done.stdout[done.stdout.rindex("{") :].strip(), self._printed.strip()


class Answer(NamedTuple):
    status: int
    body: Any


class Server:
    """A server that answers, and its address."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url

    def call(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.url}{path}", data, {"Content-Type": "application/json", **(headers or {})}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return Answer(answer.status, _read(answer.read()))
        except urllib.error.HTTPError as refused:
            return Answer(refused.code, _read(refused.read()))

    def stop(self) -> tuple[int, str]:
        """Tells it to end as a service manager does. Returns its exit code, and what it has logged since it began."""
        self.process.terminate()
        _, log = self.process.communicate(timeout=30)
        return self.process.returncode, log


def _read(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.decode()


@contextmanager
def serving(command: list[str], environment: Mapping[str, str]) -> Iterator[Server]:
    """Starts a server, which writes its address to stderr."""
    with subprocess.Popen(
        [sys.executable, "-m", *command], env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            log = ""
            for line in process.stderr:
                log += line
                if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                    yield Server(process, found[0])
                    return
            raise AssertionError(log)
        finally:
            process.kill()
