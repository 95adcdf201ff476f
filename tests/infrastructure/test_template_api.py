"""What the API promises: its routes, who may use them, how much of it, and what is written down about it."""

import json
from typing import Any

import pytest

from tests.infrastructure.stack import ROOT, TEMPLATE, RefusedParameters, Stack, target

PUBLIC = "ANY /webhooks/{token}"
ISSUER = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc"


def routes(stack: Stack) -> dict[str, Any]:
    return {
        f"{'ANY' if method == 'x-amazon-apigateway-any-method' else method.upper()} {path}": operation
        for path, operations in stack["Api"]["Body"]["paths"].items()
        for method, operation in operations.items()
    }


def scheme(stack: Stack) -> dict[str, Any]:
    """How a caller is recognised."""
    found: dict[str, Any] = stack["Api"]["Body"]["components"]["securitySchemes"]["Caller"]
    return found


def test_the_api_answers_these_requests(stack: Stack) -> None:
    found = routes(stack)
    assert found.keys() == {
        "POST /runs",
        "GET /runs",
        "GET /runs/{run_id}",
        "GET /runs/{run_id}/events",
        "POST /runs/{run_id}/signals/{name}",
        "POST /runs/{run_id}/cancel",
        "POST /runs/{run_id}/terminate",
        "POST /runs/{run_id}/resume",
        "POST /runs/{run_id}/retry",
        "POST /runs/{run_id}/fork",
        "POST /runs/{run_id}/updates/{name}",
        "GET /runs/{run_id}/queries/{name}",
        "POST /hooks/{token}",
        "GET /hooks/{token}",
        PUBLIC,
        "POST /schedules",
        "GET /schedules",
        "GET /schedules/{schedule_id}",
        "PATCH /schedules/{schedule_id}",
        "DELETE /schedules/{schedule_id}",
    }
    for operation in found.values():
        assert "SignalFunction" in str(operation["x-amazon-apigateway-integration"]["uri"])


def test_only_webhooks_need_no_caller(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "functions/signal")
    from hook_routes import PUBLIC_ROUTE

    for route, operation in routes(stack).items():
        assert operation["security"] == ([{"NONE": []}] if route == PUBLIC else [{"Caller": []}])
    assert PUBLIC_ROUTE == PUBLIC, "by which the function tells them apart"


def test_a_caller_is_an_iam_identity(stack: Stack) -> None:
    assert scheme(stack) == {
        "type": "apiKey",
        "name": "Authorization",
        "in": "header",
        "x-amazon-apigateway-authtype": "awsSigv4",
    }


def test_with_an_issuer_a_caller_shows_a_token_of_it() -> None:
    stack = Stack(JwtIssuer=ISSUER, JwtAudience="shop,backoffice")
    assert scheme(stack) == {
        "type": "oauth2",
        "x-amazon-apigateway-authorizer": {
            "type": "jwt",
            "identitySource": "$request.header.Authorization",
            "jwtConfiguration": {"issuer": ISSUER, "audience": ["shop", "backoffice"]},
        },
    }
    assert {str(operation["security"]) for route, operation in routes(stack).items() if route != PUBLIC} == {
        "[{'Caller': []}]"
    }


@pytest.mark.parametrize("parameters", [{"JwtIssuer": ISSUER}, {"JwtAudience": "shop"}])
def test_a_token_is_for_somebody_of_somebody(parameters: dict[str, str]) -> None:
    with pytest.raises(RefusedParameters):
        Stack(**parameters)


def test_a_route_that_the_document_forgets_is_not_open(stack: Stack) -> None:
    assert stack["Api"]["Body"]["components"]["securitySchemes"]["AWS_IAM"] == scheme(stack)
    properties = TEMPLATE["Resources"]["Api"]["Properties"]
    assert properties["Auth"] == {"EnableIamAuthorizer": True, "DefaultAuthorizer": "AWS_IAM"}


def test_the_public_route_is_throttled_by_itself(stack: Stack) -> None:
    (stage,) = stack.all("ApiGatewayV2::Stage").values()
    assert stage["RouteSettings"].keys() == {PUBLIC}
    for limit in ("ThrottlingRateLimit", "ThrottlingBurstLimit"):
        assert 0 < stage["RouteSettings"][PUBLIC][limit] < stage["DefaultRouteSettings"][limit]


def test_the_limits_are_parameters() -> None:
    stack = Stack(ApiRateLimit=1, ApiBurstLimit=2, WebhookRateLimit=3, WebhookBurstLimit=4)
    (stage,) = stack.all("ApiGatewayV2::Stage").values()
    assert stage["DefaultRouteSettings"] == {"ThrottlingRateLimit": 1, "ThrottlingBurstLimit": 2}
    assert stage["RouteSettings"][PUBLIC] == {"ThrottlingRateLimit": 3, "ThrottlingBurstLimit": 4}


def test_the_access_log_says_who_asked_for_what_and_nothing_secret(stack: Stack) -> None:
    (stage,) = stack.all("ApiGatewayV2::Stage").values()
    assert target(stage["AccessLogSettings"]["DestinationArn"]) == "ApiLogGroup"
    fields = json.loads(stage["AccessLogSettings"]["Format"])
    assert {"requestId", "time", "routeKey", "status", "caller", "subject", "sourceIp"} <= fields.keys()
    # A path may hold the token of a webhook, and so may a query.
    assert not [value for value in fields.values() if "path" in value.lower() or "query" in value.lower()]
