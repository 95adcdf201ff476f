"""The template, deployed to a local AWS with the real `sam deploy`, and its API as a client sees it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session

from worldflow.devtools.local_aws import LocalAws
from worldflow.stacks import environment


class DeploymentError(Exception):
    """`sam deploy` failed; the message is what it printed."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any


_HTTP = URLLib3Session()


def request(
    method: str, url: str, body: Any, headers: Mapping[str, str], credentials: Credentials | None, region: str
) -> Answer:
    """One request to an HTTP API, signed for `execute-api` if there are credentials. A `str` body is sent as it is."""
    data = body if isinstance(body, str) else None if body is None else json.dumps(body)
    asked = AWSRequest(method, url, data=data, headers=dict(headers))
    if data is not None:
        asked.headers["Content-Type"] = "application/json"
    if credentials:
        SigV4Auth(credentials, "execute-api", region).add_auth(asked)
    response = _HTTP.send(asked.prepare())
    return Answer(response.status_code, _json(response.content))


def _json(content: bytes) -> Any:
    try:
        return json.loads(content) if content else None
    except ValueError:
        return content.decode(errors="replace")


class Stack:
    """A deployed stack. `outputs` are the template's."""

    def __init__(self, aws: LocalAws, name: str, outputs: Mapping[str, str]) -> None:
        self.aws = aws
        self.name = name
        self.outputs = outputs
        self._url = aws.http_api_url(outputs["ApiUrl"])

    def call(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, *, sign: bool = True
    ) -> Answer:
        """One request to the API, signed as IAM authorisation asks for. A `str` body is sent as it is."""
        env = self.aws.env
        credentials = Credentials(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]) if sign else None
        return request(method, self._url + path, body, headers or {}, credentials, env["AWS_REGION"])

    def call_webhook(self, method: str, url: str, body: Any = None) -> Answer:
        """One request to a webhook, by the URL that its run has handed out: signed by nobody."""
        return request(method, self.aws.http_api_url(url), body, {}, None, self.aws.env["AWS_REGION"])

    def read_stream(self, url: str, last_event_id: str = "") -> Answer:
        """One request for the events of a stream, by its signed URL, as a browser makes it."""
        headers = {"Accept": "text/event-stream", "Origin": "https://shop.example"}
        if last_event_id:
            headers["Last-Event-ID"] = last_event_id
        return request("GET", self.aws.http_api_url(url), None, headers, None, self.aws.env["AWS_REGION"])

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which an application reaches this stack."""
        return {**self.aws.env, **environment(self.outputs), "WORLDFLOW_API_GATEWAY_URL": self._url}


def parameters_of_this_machine() -> list[str]:
    """The template's parameters for functions that run in this interpreter, on this machine."""
    architecture = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return [f"Runtime=python{sys.version_info.major}.{sys.version_info.minor}", f"Architecture={architecture}"]


def deploy(aws: LocalAws, template: Path, *, name: str = "worldflow-local", parameters: Sequence[str] = ()) -> Stack:
    """Deploys a built template. `parameters` are `Name=value`. Raises `DeploymentError`."""
    command = [
        "sam",
        "deploy",
        "--template-file",
        str(template),
        "--stack-name",
        name,
        "--region",
        aws.env["AWS_REGION"],
    ]
    command += ["--resolve-s3", "--s3-prefix", name, "--capabilities", "CAPABILITY_IAM"]
    command += ["--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar"]
    if parameters:
        command += ["--parameter-overrides", *parameters]
    done = subprocess.run(command, env={**os.environ, **aws.env}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DeploymentError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    (stack,) = aws.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    return Stack(aws, name, {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]})
