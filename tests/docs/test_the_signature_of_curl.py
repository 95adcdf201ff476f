"""The signature of the curl command in the README, as AWS verifies it."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.docs.pages import blocks

pytestmark = pytest.mark.one_python

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI", "AWS_REGION": "eu-west-1"}


class _Api(BaseHTTPRequestHandler):
    """Keeps the requests that it gets."""

    requests: list[tuple[dict[str, str], bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(201)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.parametrize("token", ["", "a-session-token"])
def test_it_is_what_botocore_computes(token: str) -> None:
    (command,) = (code for code in blocks("docs/guide/api.md", "sh") if "--aws-sigv4" in code)
    command = command.partition("\n")[2]  # the environment is there
    api: Any = type("Api", (_Api,), {"requests": []})
    with HTTPServer(("127.0.0.1", 0), api) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        environment = {**os.environ, **KEYS, "AWS_SESSION_TOKEN": token, "WORLDFLOW_API_GATEWAY_URL": url}
        subprocess.run(["bash", "-c", f"{command.strip()} -sS"], env=environment, check=True, timeout=30)
        server.shutdown()
    ((headers, body),) = api.requests
    assert headers.get("x-amz-security-token", "") == token

    signed = re.search("SignedHeaders=([^,]+), Signature=([0-9a-f]+)", headers["authorization"])
    assert signed is not None
    names = signed[1].split(";")
    assert {"host", "x-amz-date", *(["x-amz-security-token"] if token else [])} <= set(names)
    request = AWSRequest("POST", f"{url}/runs", data=body, headers={name: headers[name] for name in names})
    request.context["timestamp"] = headers["x-amz-date"]
    credentials = Credentials(KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"])
    signer = SigV4Auth(credentials, "execute-api", KEYS["AWS_REGION"])
    text = signer.string_to_sign(request, signer.canonical_request(request))
    assert signer.signature(text, request) == signed[2]
