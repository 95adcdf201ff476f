"""Functions run in execution environments like those of Lambda.

Wrong, and what AWS does:

- The answer of a handler that prints nothing is held back for 50 ms, while the emulator waits for a log line. Here the
  log is a file, complete before the answer is out.
- A handler that raises loses its process. On Lambda the environment stays warm, with all that it holds in memory.
- An update kills the invocations under way. Lambda lets them end on the old code.
- A function sees the environment variables and packages of the emulator, and its layers before its own code. Lambda
  gives it its own variables, and its code, its layers and the runtime's boto3 in that order; a package that is missing
  from a layer is missing here too.
- Each cold start unpacks code and layers anew, and compiles what it imports: seconds of work for ten of them. Here each
  package is unpacked and compiled once.
"""

import functools
import hashlib
import importlib.util
import io
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from worldflow.devtools.local_aws import bootstrap

_STATE = Path(os.environ["LOCAL_AWS_DIRECTORY"])
_INIT_SECONDS = 60  # AWS gives 10 s; ten cold starts on a small machine take longer
# What the Python runtimes of Lambda bring along.
_RUNTIME_PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")

_unpacking = threading.Lock()


class Worker(lambda_runtime.Worker):  # type: ignore[misc]
    """One execution environment: a process that is cold once, and serves one invocation at a time."""

    _proc: subprocess.Popen[bytes] | None
    _connection: Connection
    _log: Path
    retired = False
    starting = False

    @property
    def pid(self) -> int | None:
        return self._proc.pid if self._proc is not None and self._proc.poll() is None else None

    def invoke(
        self,
        event: Any,
        request_id: str,
        *,
        trace_id: str | None = None,
        invoked_function_arn: str | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        with self._lock:
            cold = self.pid is None
            logged = 0 if cold else self._log.stat().st_size
            self.starting = cold
            try:
                answer = self._start() if cold else None
            finally:
                self.starting = False
            if answer is None or answer["status"] == "ok":
                timeout = float(self.config.get("Timeout", 3))
                invocation = {
                    "event": event,
                    "request_id": request_id,
                    "function_arn": invoked_function_arn or self.config["FunctionArn"],
                    "timeout": timeout,
                    "trace_id": trace_id or _trace_id(),
                }
                answer = self._ask(json.dumps(invocation).encode(), timeout)
            if self.retired:
                self._kill()
            log = self._log.read_bytes()[logged:].decode(errors="replace")
            return {**answer, "cold_start": cold, "log": log}

    def _start(self) -> dict[str, Any]:
        code = _unpacked([self.code_zip])
        layers = _unpacked([lambda_svc._resolve_layer_zip(layer) for layer in self.config.get("Layers", [])])
        folder = _STATE / "logs" / self.func_name
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / f"{time.time_ns()}-{secrets.token_hex(4)}.log"
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        path = [code, layers / "python/lib" / version / "site-packages", layers / "python", _runtime_packages()]
        self._connection, theirs = Pipe()
        with self._log.open("ab") as log:
            self._proc = subprocess.Popen(
                [sys.executable, "-I", "-S", bootstrap.__file__, str(theirs.fileno()), *map(str, path)],
                cwd=code,
                env=self._environment(code),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[theirs.fileno()],
            )
        theirs.close()
        return self._ask(None, _INIT_SECONDS)

    def _ask(self, request: bytes | None, timeout: float) -> dict[str, Any]:
        try:
            if request is not None:
                self._connection.send_bytes(request)
            if self._connection.poll(timeout):
                answer: dict[str, Any] = json.loads(self._connection.recv_bytes())
                return answer
            self._kill()
            return {"status": "error", "error": f"Task timed out after {timeout:.2f} seconds"}
        except (EOFError, OSError):
            self._kill()
            return {"status": "error", "error": "Runtime exited without an answer"}

    def _kill(self) -> None:
        process, self._proc = self._proc, None
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait()
            self._connection.close()

    def _environment(self, code: Path) -> dict[str, str]:
        config = self.config
        logging = config["LoggingConfig"]
        is_json = logging.get("LogFormat") == "JSON"
        _, region = lambda_runtime._account_region_from_function_config(config)
        return {
            **config.get("Environment", {}).get("Variables", {}),
            "PATH": os.environ["PATH"],
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "PYTHONUNBUFFERED": "1",
            "_HANDLER": config["Handler"],
            "LAMBDA_TASK_ROOT": str(code),
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_ENDPOINT_URL": os.environ["LOCAL_AWS_ENDPOINT_URL"],
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{config['Runtime']}",
            "AWS_LAMBDA_FUNCTION_NAME": config["FunctionName"],
            "AWS_LAMBDA_FUNCTION_VERSION": config.get("Version", "$LATEST"),
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.get("MemorySize", 128)),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_FORMAT": "JSON" if is_json else "Text",
            **({"AWS_LAMBDA_LOG_LEVEL": logging.get("ApplicationLogLevel", "INFO")} if is_json else {}),
            "AWS_LAMBDA_LOG_GROUP_NAME": logging["LogGroup"],
            "AWS_LAMBDA_LOG_STREAM_NAME": f"{time.strftime('%Y/%m/%d')}/[$LATEST]{secrets.token_hex(16)}",
            "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
            "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
            **lambda_runtime.execution_credentials(config),
        }

    def _discard_tmpdir(self) -> None:
        """Nothing to discard: the unpacked packages are shared."""


def pids() -> dict[str, list[int]]:
    """The live processes of each function."""
    with lambda_runtime._lock:
        workers = [worker for pool in lambda_runtime._workers.values() for worker in pool]
    found: dict[str, list[int]] = {}
    for worker in workers:
        if worker.pid is not None:
            found.setdefault(worker.func_name, []).append(worker.pid)
    return found


def is_crowded(function_name: str) -> bool:
    """Whether one more batch for this function were one more cold start than this machine can take now."""
    with lambda_runtime._lock:
        workers = [worker for pool in lambda_runtime._workers.values() for worker in pool]
    if any(worker.func_name == function_name and worker.pid and not worker.in_use for worker in workers):
        return False
    starting = sum(worker.starting or (worker.in_use and not worker.pid) for worker in workers)
    return bool(starting >= 2 * (os.cpu_count() or 1))


def credentials() -> dict[str, dict[str, str]]:
    """What the processes of each function sign with."""
    configs = [function["config"] for function in lambda_svc._functions.values()]
    return {
        config["FunctionName"]: {
            name.lower(): value for name, value in lambda_runtime.execution_credentials(config).items()
        }
        for config in configs
    }


def apply() -> None:
    lambda_runtime.Worker = Worker
    lambda_runtime.kill_workers = _retire


def _retire(workers: list[Worker]) -> None:
    for worker in workers:
        worker.retired = True
        if not worker.in_use:
            worker._kill()


def _trace_id() -> str:
    return f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)};Parent={secrets.token_hex(8)};Sampled=0"


def _unpacked(archives: list[bytes]) -> Path:
    """One folder with the contents of the archives, later ones over earlier ones, as layers are merged in /opt."""
    digests = [hashlib.sha256(archive).hexdigest()[:16] for archive in archives]
    target = _STATE / "packages" / "-".join(digests)
    with _unpacking:
        if not target.exists():
            parts = [_unpacked_alone(archive, digest) for archive, digest in zip(archives, digests, strict=True)]
            fresh = Path(tempfile.mkdtemp(dir=target.parent))
            for part in parts:
                shutil.copytree(part, fresh, copy_function=_link_over, dirs_exist_ok=True)
            fresh.rename(target)
    return target


def _unpacked_alone(archive: bytes, digest: str) -> Path:
    """Once: what most deployments leave as it is, the engine, costs the next one nothing."""
    target = _STATE / "packages" / "parts" / digest
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=target.parent))
        with zipfile.ZipFile(io.BytesIO(archive)) as contents:
            contents.extractall(fresh)
        fresh.rename(target)
    return target


def _link_over(source: str, target: str) -> None:
    Path(target).unlink(missing_ok=True)
    os.link(source, target)


@functools.cache
def _runtime_packages() -> Path:
    """A folder with links to the packages of the runtime, and to nothing else that is installed here."""
    target = _STATE / "runtime"
    target.mkdir(exist_ok=True)
    for name in _RUNTIME_PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise RuntimeError(f"{name} is not installed beside ministack")
        source = Path(spec.origin)
        source = source.parent if source.name == "__init__.py" else source
        link = target / source.name
        if not link.exists():
            link.symlink_to(source)
    return target
