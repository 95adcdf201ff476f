"""The process of one execution environment: imports a handler, then answers invocations until it is killed.

It runs isolated from the emulator's own packages (`python -I -S`), and sees what a function sees on Lambda, in that
order: its code, its layers, the packages of the runtime. `patches/workers.py` is the other end of the connection.
"""

import importlib
import json
import os
import sys
import time
import traceback
from multiprocessing.connection import Connection
from typing import Any


class Context:
    """The `context` that a handler gets."""

    identity = None
    client_context = None

    def __init__(self, invocation: dict[str, Any]) -> None:
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.invoked_function_arn = invocation["function_arn"]
        self.aws_request_id = invocation["request_id"]
        self._deadline = time.time() + invocation["timeout"]

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._deadline - time.time()) * 1000))


def main() -> None:
    connection = Connection(int(sys.argv[1]))
    sys.path[:0] = sys.argv[2:]
    try:
        module, _, name = os.environ["_HANDLER"].rpartition(".")
        handler = getattr(importlib.import_module(module.replace("/", ".")), name)
    except BaseException as error:
        _answer(connection, _failure(error))
        return
    _answer(connection, {"status": "ok"})
    while True:
        try:
            invocation = json.loads(connection.recv_bytes())
        except EOFError:
            return
        os.environ["_X_AMZN_TRACE_ID"] = invocation["trace_id"]
        try:
            answer = {"status": "ok", "result": handler(invocation["event"], Context(invocation))}
            json.dumps(answer)
        except Exception as error:
            answer = _failure(error)
        _answer(connection, answer)


def _failure(error: BaseException) -> dict[str, str]:
    print("[ERROR]", traceback.format_exc(), file=sys.stderr)
    return {"status": "error", "error": f"{type(error).__name__}: {error}"}


def _answer(connection: Connection, answer: dict[str, Any]) -> None:
    # What was printed is in the log before the answer is out.
    sys.stdout.flush()
    sys.stderr.flush()
    connection.send_bytes(json.dumps(answer).encode())


if __name__ == "__main__":
    main()
