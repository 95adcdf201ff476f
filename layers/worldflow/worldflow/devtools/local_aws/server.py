"""The emulator's process: MiniStack with the patches applied, and a few paths of our own under `/_local_aws/`.

It lives as long as its standard input stays open, which is as long as its launcher lives, however that ends.
"""

import asyncio
import json
import os
import signal
import sys
import threading
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack import app

from worldflow.devtools.local_aws import counting, patches
from worldflow.devtools.local_aws.patches import workers


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if not scope.get("path", "").startswith("/_local_aws/"):
        await app.app(scope, receive, send)
        return
    answer: Any = {}
    match scope["method"], scope["path"]:
        case "GET", "/_local_aws/workers":
            answer = workers.pids()
        case "GET", "/_local_aws/credentials":
            answer = workers.credentials()
        case "GET", "/_local_aws/usage":
            answer = counting.counts.as_json()
        case "DELETE", "/_local_aws/usage":
            counting.counts.reset()
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


def main() -> None:
    threading.Thread(target=_die_with_the_launcher, daemon=True).start()
    patches.apply_all()
    counting.apply()
    config = Config()
    config.bind = [f"127.0.0.1:{os.environ['GATEWAY_PORT']}"]
    config.keep_alive_timeout = 75
    asyncio.run(serve(application, config))  # type: ignore[arg-type]


def _die_with_the_launcher() -> None:
    sys.stdin.buffer.read()
    os.killpg(0, signal.SIGKILL)  # the processes of the functions are in this group


if __name__ == "__main__":
    main()
