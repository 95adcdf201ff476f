"""The HTTP API: authorisation, limits, paths, idempotency, lists."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from worldflow.devtools.verify.failures import Failed, Skipped, Undecided
from worldflow.devtools.verify.outcome import check
from worldflow.devtools.verify.target import Target

IMPORTED = "the local AWS imports the API's document with Worldflow's own code"


@check(
    "Signed requests only",
    behaviour="API Gateway: the security scheme `Caller` of every route, with its scope",
    only_on_aws=IMPORTED,
    look=("Signal",),
)
def authorisation(target: Target) -> str:
    """API Gateway imports the scheme as IAM authorisation of every route: a signed request is accepted,
    an unsigned one is refused. With JwtIssuer it imports it as JWT, with the scope of each route.
    """
    target.expect(200, "GET", "/runs?limit=1")
    refused = target.call("GET", "/runs?limit=1", sign=False).status
    expected = (401, 403) if target.parameter("JwtIssuer") or not target.is_local else (403,)
    if refused not in expected:
        raise Failed(f"an unsigned request got status {refused}")
    expected_type = "JWT" if target.parameter("JwtIssuer") else "AWS_IAM"
    routes = _routes(target, _api_id(target))
    types = {route["RouteKey"]: route.get("AuthorizationType") for route in routes}
    wrong = {key: found for key, found in types.items() if found != expected_type}
    if wrong or not routes:
        raise Failed(f"routes whose authorisation is not {expected_type}: {wrong or 'no routes found'}")
    if wrong_scopes := misscoped(routes, target.parameters):
        raise Failed(f"routes with other scopes than the parameters': {wrong_scopes}")
    return f"{len(routes)} routes, all {expected_type}; unsigned: {refused}"


ADMIN = ("terminate", "wake", "pause", "resume", "retry", "fork")
"""What a run's routes end in that take JwtAdminScope."""


def misscoped(routes: Iterable[Mapping[str, Any]], parameters: Mapping[str, str]) -> dict[str, list[str]]:
    """The routes whose scopes are not those that the stack's parameters give them, with the scopes that they have."""
    wrong = {}
    for route in routes:
        scope = parameters.get(_scope_parameter(route["RouteKey"]), "")
        found = list(route.get("AuthorizationScopes") or ())
        if found != ([scope] if scope else []):
            wrong[route["RouteKey"]] = found
    return wrong


def _scope_parameter(route_key: str) -> str:
    method, path = route_key.split(" ")
    if method == "GET":
        return "JwtReadScope"
    return "JwtAdminScope" if path.startswith(("/schedules", "/limits")) or path.endswith(ADMIN) else "JwtWriteScope"


@check(
    "Limits of the API's routes",
    behaviour="API Gateway: DefaultRouteSettings, whose numbers are parameters",
    only_on_aws="the local AWS does not throttle",
    look=("Signal",),
)
def limits(target: Target) -> str:
    """The stages have the parameters' limits: that of the API, and that of webhooks."""
    found = {}
    for kind, api in (("Api", _api_id(target)), ("Webhook", target.outputs["WebhookApiId"])):
        (stage,) = target.client("apigatewayv2").get_stages(ApiId=api)["Items"]
        settings = stage.get("DefaultRouteSettings", {})
        found[f"{kind}RateLimit"] = settings.get("ThrottlingRateLimit")
        found[f"{kind}BurstLimit"] = settings.get("ThrottlingBurstLimit")
    wrong = [
        f"{name} is {value} instead of {target.parameter(name)}"
        for name, value in found.items()
        if value is None or float(value) != float(target.parameter(name))
    ]
    if wrong and target.is_local:
        raise Undecided("the local AWS does not throttle")
    if wrong:
        raise Failed("; ".join(wrong))
    return ", ".join(f"{name}={value:g}" for name, value in found.items() if value is not None)


@check(
    "A plus sign in a path",
    behaviour="API Gateway: `+` in a path of an HTTP API",
    only_on_aws="the local AWS has its own parser of paths",
    look=("Signal",),
)
def plus(target: Target) -> str:
    """A run whose id has a `+` is found by `+` and by `%2B`."""
    run_id = target.start("hello", {"name": "plus"}, run_id=f"{target.prefix}-a+b")
    target.ended(run_id)
    for path in (run_id, run_id.replace("+", "%2B")):
        found = target.expect(200, "GET", f"/runs/{path}")["run_id"]
        if found != run_id:
            raise Failed(f"GET /runs/{path} finds {found}")
    return "`+` and `%2B` both mean a plus sign"


@check(
    "Idempotent start",
    statements=("SignalRole.Read", "SignalRole.Write", "SignalRole.Requests", "SignalRole.Send"),
    look=("Signal",),
)
def idempotent_start(target: Target) -> str:
    """A start that is repeated with its `Idempotency-Key` starts nothing and gets the first answer: Powertools may
    read, put and update `idempotency#...` items.
    """
    key = {"Idempotency-Key": f"{target.prefix}-{uuid.uuid4().hex}"}
    body = {"workflow": "hello", "input": {"name": "twice"}, "run_id": f"{target.prefix}-once"}
    first = target.call("POST", "/runs", body, headers=key)
    target.runs.append(f"{target.prefix}-once")  # which may have started, whatever the answer
    if first.status != 201:
        raise Failed(f"POST /runs: {first.status} {first.body}, and not 201")
    again = target.expect(201, "POST", "/runs", body, headers=key)
    if again != first.body:
        raise Failed(f"the second response is {again}, but the first was {first.body}")
    target.ended(again["run_id"])
    return "the same response twice, for one run"


@check("List of runs", statements=("SignalRole.ListRuns",), look=("Signal",))
def listing(target: Target) -> str:
    """A run is listed by status and by time, from the table's two indexes."""
    run_id = target.start("hello", {"name": "listed"})
    target.ended(run_id)

    def listed(query: str) -> bool | None:
        runs = target.expect(200, "GET", f"/runs?{query}&limit=100")["runs"]
        return run_id in [run["run_id"] for run in runs] or None

    for query in ("status=completed&workflow=hello", "workflow=hello"):  # an index lags behind its table
        target.until(lambda query=query: listed(query), 20, f"GET /runs?{query} does not list {run_id}")  # type: ignore[misc]
    return "found in by_status and in by_time"


@check(
    "Bearer tokens",
    behaviour="API Gateway: the security scheme `Caller` (JWT)",
    only_on_aws=IMPORTED,
    look=("Signal",),
)
def tokens(target: Target) -> str:
    """With JwtIssuer the API accepts a token from that issuer."""
    if not target.parameter("JwtIssuer"):
        raise Skipped("the stack has no JwtIssuer: PARAMETERS='JwtIssuer=https://... JwtAudience=...' TOKEN=...")
    target.expect(200, "GET", "/runs?limit=1")
    return f"a token from {target.parameter('JwtIssuer')} is accepted"


def _api_id(target: Target) -> str:
    return target.outputs["ApiUrl"].removeprefix("https://").partition(".")[0]


def _routes(target: Target, api: str) -> list[dict[str, Any]]:
    routes: list[dict[str, Any]] = []
    page: dict[str, str] = {}
    while True:
        answer = target.client("apigatewayv2").get_routes(ApiId=api, **page)
        routes += answer["Items"]
        if not answer.get("NextToken"):
            return routes
        page = {"NextToken": answer["NextToken"]}
