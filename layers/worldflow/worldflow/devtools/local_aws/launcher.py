"""Starts the local AWS, and stops all of it."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3

MINISTACK_VERSION = "1.5.33"  # the patches reach into its internals
REGION = "us-east-1"
UNCOUNTED = "x-local-aws-uncounted"  # the header of a request that only watches, and that AWS would not see

_PACKAGES = Path(__file__).parents[3]  # where Python finds worldflow
_START_SECONDS = 30


class LocalAwsError(Exception):
    """The local AWS cannot be started, or has died."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """What AWS would charge for."""

    requests: Counter[tuple[str, str]]  # (service, operation), with the names that IAM uses
    deliveries: Counter[tuple[str, str]]  # messages to functions: (queue, "received", "received again" or "lost")
    read_units: float  # of DynamoDB, by the size of the answers
    write_units: float  # of DynamoDB, with the writes to indexes
    gb_seconds: float  # of Lambda, cold starts included


class LocalAws:
    """A local AWS in a process group of its own. `directory` gets its state and its log."""

    def __init__(self, directory: Path, port: int | None = None, *, enforce_iam: bool = False) -> None:
        self.directory = directory.resolve()
        self.port = port or _free_port()
        self.endpoint_url = f"http://127.0.0.1:{self.port}"
        self.log_file = self.directory / "local-aws.log"
        self._config_file = self.directory / "aws-config"
        self._enforce_iam = enforce_iam
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def env(self) -> Mapping[str, str]:
        """What `sam`, `aws` and boto3 need in their environment. Their profiles and credentials are left aside."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_SESSION_TOKEN": "",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_PROFILE": "default",
            "AWS_CONFIG_FILE": str(self._config_file),
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "SAM_CLI_TELEMETRY": "0",
        }

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        installed = metadata.version("ministack")
        if installed != MINISTACK_VERSION:
            raise LocalAwsError(
                f"The local AWS patches ministack {MINISTACK_VERSION}, but {installed} is installed: "
                f"pip install ministack=={MINISTACK_VERSION}"
            )
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                raise LocalAwsError(f"Port {self.port} is in use: stop what listens there, or choose another port.")
        for stale in ("packages", "runtime", "logs", "s3", "tmp"):
            shutil.rmtree(self.directory / stale, ignore_errors=True)
        (self.directory / "tmp").mkdir(parents=True)
        self._config_file.write_text(f"[default]\nregion = {REGION}\n")
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "worldflow.devtools.local_aws.server"],
                cwd=_PACKAGES,
                env=self._server_environment(),
                stdin=subprocess.PIPE,  # never written to: its end is how the emulator learns that we are gone
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait_until_healthy()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdin is not None:
            process.stdin.close()

    def wait(self, seconds: float) -> None:
        """Waits for the emulator to die, which it does not do by itself. Raises `LocalAwsError` if it does."""
        if self._process is None:
            return
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return
        raise LocalAwsError(f"The local AWS ended with status {status}: see {self.log_file}")

    def client(self, service: str) -> Any:
        session: Any = boto3.session.Session()
        return session.client(
            service,
            endpoint_url=self.endpoint_url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def observer(self) -> boto3.session.Session:
        """A session whose requests are not counted. It reaches the emulator in the environment of `env`."""
        return observer()

    @property
    def pid(self) -> int:
        """The emulator's own process."""
        if self._process is None:
            raise LocalAwsError("The local AWS is not running.")
        return self._process.pid

    def worker_pids(self, function_name: str) -> list[int]:
        """The live processes of a function, warm or at work."""
        return list(self._call("GET", "workers").get(function_name, []))

    def kill_workers(self, function_name: str) -> list[int]:
        """Kill a function's processes in the middle of whatever they do."""
        pids = self.worker_pids(function_name)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return pids

    def credentials(self, function_name: str) -> Mapping[str, str]:
        """Those of a function's processes, by boto3's names: its role's, where IAM is enforced."""
        found: Mapping[str, str] = self._call("GET", "credentials")[function_name]
        return found

    def logs(self, function_name: str) -> str:
        """What a function has written so far, one process after the other."""
        files = sorted((self.directory / "logs" / function_name).glob("*.log"))
        return "".join(file.read_text(errors="replace") for file in files)

    def http_api_url(self, url: str) -> str:
        """Where an HTTP API of a stack answers here, by its URL on AWS (the stack's output) or its id.

        Requests to it are signed as for AWS: service `execute-api`, with the credentials of `env`.
        """
        match = re.fullmatch(r"(?:https?://)?(\w+)(?:\.execute-api\.[^/]+)?(/.*)?", url)
        if match is None:
            raise ValueError(f"not the URL of an HTTP API: {url}")
        api_id, path = match.groups()
        return f"{self.endpoint_url}/_aws/execute-api/{api_id}{(path or '').rstrip('/')}"

    def usage(self) -> Usage:
        """What was used since the start, or the last `reset_usage`."""
        usage = self._call("GET", "usage")
        requests, deliveries = (
            Counter({(one, other): count for one, other, count in usage.pop(name)})
            for name in ("requests", "deliveries")
        )
        return Usage(requests=requests, deliveries=deliveries, **usage)

    def requests(self) -> Counter[tuple[str, str]]:
        return self.usage().requests

    def reset_usage(self) -> None:
        self._call("DELETE", "usage")

    def _server_environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(self.directory / "tmp"),
            "LOCAL_AWS_DIRECTORY": str(self.directory),
            "LOCAL_AWS_ENDPOINT_URL": self.endpoint_url,
            "GATEWAY_PORT": str(self.port),
            "MINISTACK_HOST": "127.0.0.1",
            "MINISTACK_REGION": REGION,
            "S3_DATA_DIR": str(self.directory / "s3"),
            "STATE_DIR": str(self.directory / "state"),
            "DOCKER_HOST": f"unix://{self.directory}/no-docker.sock",
            "LAMBDA_ACCOUNT_CONCURRENCY": "1000",
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            "AUTH": str(self._enforce_iam).lower(),
        }

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise LocalAwsError(f"The local AWS did not start:\n{self.log_file.read_text()[-2000:]}")
            try:
                self._call("GET", "workers")
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise LocalAwsError(f"The local AWS did not answer within {_START_SECONDS} s: see {self.log_file}")

    def _call(self, method: str, path: str) -> dict[str, Any]:
        request = urllib.request.Request(f"{self.endpoint_url}/_local_aws/{path}", method=method)
        with urllib.request.urlopen(request, timeout=10) as response:
            answer: dict[str, Any] = json.load(response)
            return answer


def observer() -> boto3.session.Session:
    """See `LocalAws.observer`."""
    session = boto3.session.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)

    def mark(params: dict[str, Any], **_: Any) -> None:
        params["headers"][UNCOUNTED] = "1"

    session.events.register("before-call", mark)
    return session


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
