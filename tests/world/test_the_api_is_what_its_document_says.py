"""Schemathesis: requests made from the OpenAPI document, good ones and bad ones, and answers held against it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support import clock, workflows
from tests.support.aws import deployed
from tests.support.gateway import Gateway
from tests.support.lambdas import api_module, function
from tests.support.systems import AWSSystem, aws_system
from tests.support.template import routes
from tools import openapi
from worldflow import (
    FatalError,
    create_hook,
    create_webhook,
    on_update,
    open_stream,
    publish,
    step,
    wait_for_signal,
    workflow,
    workflow_info,
)
from worldflow.engine.history.limit_state import LimitState
from worldflow.engine.history.limits import Declared, LimitRow
from worldflow.runtime import queries, schedules, starting
from worldflow.runtime.stream_urls import stream_url
from worldflow.worlds import limits

DOCUMENT = json.loads(openapi.PATH.read_text())
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)


def _without_attributes() -> Any:
    """Any parameter of a query may be one of attributes: what is none of them is no error, and stands for nothing."""
    document = json.loads(openapi.PATH.read_text())
    operation = document["paths"]["/runs"]["get"]
    operation["parameters"] = [each for each in operation["parameters"] if each["name"] != "attributes"]
    return schemathesis.openapi.from_dict(document)


SCHEMAS = {GenerationMode.POSITIVE: SCHEMA, GenerationMode.NEGATIVE: _without_attributes()}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
OPERATIONS = [
    (method.upper(), path)
    for path, operations in DOCUMENT["paths"].items()
    for method in operations
    if method in ("get", "post", "patch", "delete")
]
TESTED = [(method, path) for method, path in OPERATIONS if "webhooks" not in path or method == "POST"]
EXAMPLES, TRIES = 8, 5

IN_BODIES: dict[str, list[Any]] = {
    "workflow": ["chain", "waits_for_the_api"],
    "input": [{}, {"length": 1}],
    "reason": ["out of stock"],
    "after": [1, 2],
    "edit": [{}, {"input": {}}],
    "args": [[], [1]],
    "schedule_id": ["daily", "weekly"],
    "schedule": ["rate(5 minutes)", "cron(0 8 ? * MON-FRI *)"],
    "concurrency": [0, 3],
    "rate": ["5/1m"],
    "burst": [2],
    "key": [""],
    "timezone": ["UTC", "Europe/Berlin"],
}
"""What fits, which chance would not find."""


@step
async def refuse_all() -> None:
    raise FatalError("no shelf")


@workflow
async def waits_for_the_api() -> Any:
    """Has something for every route."""
    create_hook(token=f"of-{workflow_info().run_id}", metadata={"for": "the API"})
    publish("url", create_webhook().url)
    publish("status", "waits")
    open_stream("told").write("waits")

    @on_update("add")
    async def add(number: int = 0, *rest: Any) -> int:
        if rest:
            raise ValueError(f"one at a time, and not {len(rest) + 1}")
        return number + 1

    return await wait_for_signal("go")


@workflow
async def fails_for_the_api() -> None:
    await refuse_all()


@dataclass
class Deployment:
    aws: AWSSystem
    gateway: Gateway

    def prepare(self, name: str) -> dict[str, list[str]]:
        """Things for one operation to act on, and what leads to them in a path."""
        ids = [f"{name}-{kind}" for kind in ("waits", "failed", "blocked", "done")]
        for run_id, flow in zip(ids, (waits_for_the_api, fails_for_the_api, "teleport", workflows.chain), strict=True):
            starting.start(self.aws.world, run_id, flow, {"length": 1} if flow is workflows.chain else {})
        self.aws.settle()
        url = queries.query(self.aws.world, ids[0], "url")
        token_of = {
            "webhook": url.rpartition("/")[2],
            "signed_stream": stream_url(self.aws.world, ids[0], "told").rpartition("/")[2],
            "hook": f"of-{ids[0]}",
        }
        for limit in ("add", "status", "go"):
            limits.change(self.aws.world, limit, "", _used)
        schedules.create(self.aws.world, name, workflows.chain, {"length": 1}, schedule="rate(1 day)")
        return {
            "run_id": ids,
            "schedule_id": [name],
            "name": ["add", "status", "go"],
            "token": [token_of[next((kind for kind in token_of if kind in name), "hook")]],
        }


def _used(state: LimitState) -> LimitRow | None:
    return state.plan(clock.now(), declared=Declared(1), declared_at=1.0)


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    with deployed() as stack, aws_system(stack) as aws, pytest.MonkeyPatch.context() as patch:
        # While the API waits for an answer, all else goes on: there, and nowhere else.
        waiting = api_module("updates")
        patch.setattr(waiting, "time", SimpleNamespace(sleep=lambda _: aws.settle()))
        patch.setattr(waiting, "PAUSES", (0, 0))
        patch.setattr(api_module("streams"), "time", SimpleNamespace(sleep=lambda _: None))
        yield Deployment(aws, Gateway(routes()))


def test_the_document_has_the_routes_of_the_template() -> None:
    public = ("/webhooks", "/streams")
    documented = {("ANY" if path.startswith(public) else method, path) for method, path in OPERATIONS}
    assert documented == set(routes())


def test_the_document_is_that_of_the_routes() -> None:
    with deployed():
        made = openapi.document(function("signal").application.resolver)
    assert openapi.text(made) == openapi.PATH.read_text(), "run `make openapi`"


@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value)
@pytest.mark.parametrize(("method", "path"), TESTED)
def test_answers(deployment: Deployment, method: str, path: str, mode: GenerationMode) -> None:
    operation = SCHEMAS[mode][path][method]
    if mode is GenerationMode.NEGATIVE and ("webhooks" in path or path in ("/limits", "/workflows/paused")):
        return  # whatever comes to them is right
    there = deployment.prepare(f"{DOCUMENT['paths'][path][method.lower()]['operationId']}-{mode.value}")
    statuses = Counter[int]()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode), st.data())
    def ask(case: schemathesis.Case, data: st.DataObject) -> None:
        if mode is GenerationMode.POSITIVE:
            for values, known in ((case.path_parameters, there), (case.body, IN_BODIES)):
                for name in [name for name in values if name in known] if isinstance(values, dict) else ():
                    values[name] = data.draw(st.sampled_from([*known[name], *known[name], values[name]]), name)
        answer = case.call(app=deployment.gateway)
        statuses[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS)

    # What is asked follows from the seed, and from the constants that Hypothesis finds in all code that is imported.
    for number in range(TRIES):
        seed(number)(ask)()
        if any((status < 300) == (mode is GenerationMode.POSITIVE) for status in statuses):
            return
    pytest.fail(f"none of the requests was answered as some should be: {statuses}")
