"""What the API promises: its routes, who may use them, how much of it, and what is written down about it."""

import copy
import json
import re
from itertools import combinations
from typing import Any

import pytest

from tests.infrastructure.stack import TEMPLATE, Properties, RefusedParameters, Stack, target, translated
from worldflow.devtools.verify.checks.api import misscoped
from worldflow.serving.api.streams import STREAM_ROUTE
from worldflow.serving.api.webhooks import PUBLIC_ROUTE

PUBLIC = {
    "WebhookRoute": ("WebhookPermission", "ANY /webhooks/{token}"),
    "StreamRoute": ("StreamPermission", "ANY /streams/{token}"),
}
BASE_URL = "https://hooks.example.com"
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
        "GET /runs/{run_id}/streams",
        "GET /runs/{run_id}/streams/{name}",
        "POST /runs/{run_id}/signals/{name}",
        "POST /runs/{run_id}/cancel",
        "POST /runs/{run_id}/terminate",
        "POST /runs/{run_id}/wake",
        "POST /runs/{run_id}/pause",
        "POST /runs/{run_id}/unpause",
        "POST /runs/{run_id}/resume",
        "POST /runs/{run_id}/retry",
        "POST /runs/{run_id}/fork",
        "POST /runs/{run_id}/updates/{name}",
        "GET /runs/{run_id}/queries/{name}",
        "POST /hooks/{token}",
        "POST /hooks/{token}/fail",
        "POST /hooks/{token}/heartbeat",
        "GET /hooks/{token}",
        "POST /schedules",
        "GET /schedules",
        "GET /schedules/{schedule_id}",
        "PATCH /schedules/{schedule_id}",
        "DELETE /schedules/{schedule_id}",
        "POST /schedules/{schedule_id}/trigger",
        "POST /schedules/{schedule_id}/backfill",
        "GET /limits",
        "GET /limits/{name}",
        "PATCH /limits/{name}",
        "GET /workflows/paused",
        "POST /workflows/{name}/pause",
        "POST /workflows/{name}/unpause",
    }
    for operation in found.values():
        assert "SignalFunction" in str(operation["x-amazon-apigateway-integration"]["uri"])


def test_every_request_needs_a_caller(stack: Stack) -> None:
    for operation in routes(stack).values():
        assert operation["security"] == [{"Caller": []}]


def test_routes_which_need_none_have_an_api_of_their_own(stack: Stack) -> None:
    assert stack.all("ApiGatewayV2::Route").keys() == PUBLIC.keys()
    assert [key for _, key in PUBLIC.values()] == [PUBLIC_ROUTE, STREAM_ROUTE], "by which the function tells them apart"
    integration = stack["WebhookIntegration"]
    assert target(integration["ApiId"]) == "WebhookApi"
    assert "functions/${SignalFunction.Arn}/invocations" in integration["IntegrationUri"]["Fn::Sub"]
    for id, (permitted, key) in PUBLIC.items():
        route, permission = stack[id], stack[permitted]
        assert target(route["ApiId"]) == "WebhookApi"
        assert (route["RouteKey"], route["AuthorizationType"]) == (key, "NONE")
        assert route["Target"] == {"Fn::Sub": "integrations/${WebhookIntegration}"}
        assert (permission["Principal"], target(permission["FunctionName"])) == (
            "apigateway.amazonaws.com",
            "SignalFunction",
        )
        path = key.removeprefix("ANY ").replace("{token}", "*")
        assert permission["SourceArn"]["Fn::Sub"].endswith(":${WebhookApi}/*/*" + path)
    assert "Body" not in stack["WebhookApi"], "a document would have the function in it"


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
    assert {str(operation["security"]) for operation in routes(stack).values()} == {"[{'Caller': []}]"}


SCOPES = {"JwtReadScope": "runs/read", "JwtWriteScope": "runs/write", "JwtAdminScope": "runs/admin"}
READS = {
    "GET /runs",
    "GET /runs/{run_id}",
    "GET /runs/{run_id}/events",
    "GET /runs/{run_id}/streams",
    "GET /runs/{run_id}/streams/{name}",
    "GET /runs/{run_id}/queries/{name}",
    "GET /hooks/{token}",
    "GET /schedules",
    "GET /schedules/{schedule_id}",
    "GET /limits",
    "GET /limits/{name}",
    "GET /workflows/paused",
}
WRITES = {
    "POST /runs",
    "POST /runs/{run_id}/signals/{name}",
    "POST /runs/{run_id}/updates/{name}",
    "POST /runs/{run_id}/cancel",
    "POST /hooks/{token}",
    "POST /hooks/{token}/fail",
    "POST /hooks/{token}/heartbeat",
}


def test_a_route_asks_for_its_scope() -> None:
    for route, operation in routes(Stack(JwtIssuer=ISSUER, JwtAudience="shop", **SCOPES)).items():
        scope = "runs/read" if route in READS else "runs/write" if route in WRITES else "runs/admin"
        assert operation["security"] == [{"Caller": [scope]}], route


def imported(parameters: dict[str, str]) -> list[dict[str, Any]]:
    """The routes as API Gateway has them."""
    operations = routes(Stack(JwtIssuer=ISSUER, JwtAudience="shop", **parameters))
    return [
        {"RouteKey": route, "AuthorizationScopes": operation["security"][0]["Caller"]}
        for route, operation in operations.items()
    ]


@pytest.mark.parametrize("parameters", [{}, SCOPES], ids=["none", "three"])
def test_a_verification_finds_the_scopes_of_the_parameters(parameters: dict[str, str]) -> None:
    assert misscoped(imported(parameters), parameters) == {}


def test_a_verification_finds_a_route_without_its_scope() -> None:
    without = [{**route, "AuthorizationScopes": []} for route in imported(SCOPES) if "/fork" in route["RouteKey"]]
    assert misscoped(without, SCOPES) == {"POST /runs/{run_id}/fork": []}


def test_sam_leaves_the_scopes_to_cloudformation() -> None:
    """The translation on AWS finds the conditions as they stand, not what they come to."""
    paths = TEMPLATE["Resources"]["Api"]["Properties"]["DefinitionBody"]["paths"]
    left = translated(copy.deepcopy(TEMPLATE))["Resources"]["Api"]["Properties"]["Body"]["paths"]
    for path, operations in paths.items():
        for method, operation in operations.items():
            assert left[path][method]["security"] == operation["security"]


@pytest.mark.parametrize("given", [*combinations(SCOPES, 1), *combinations(SCOPES, 2)], ids=" and ".join)
def test_scopes_are_given_together(given: tuple[str, ...]) -> None:
    with pytest.raises(RefusedParameters, match="must be set together"):
        Stack(JwtIssuer=ISSUER, JwtAudience="shop", **{name: SCOPES[name] for name in given})


def test_scopes_are_given_with_an_issuer() -> None:
    with pytest.raises(RefusedParameters, match="only with JwtIssuer"):
        Stack(**SCOPES)


@pytest.mark.parametrize("parameters", [{"JwtIssuer": ISSUER}, {"JwtAudience": "shop"}])
def test_a_token_is_for_somebody_of_somebody(parameters: dict[str, str]) -> None:
    with pytest.raises(RefusedParameters):
        Stack(**parameters)


def test_a_route_that_the_document_forgets_is_not_open(stack: Stack) -> None:
    assert stack["Api"]["Body"]["components"]["securitySchemes"]["AWS_IAM"] == scheme(stack)
    properties = TEMPLATE["Resources"]["Api"]["Properties"]
    assert properties["Auth"] == {"EnableIamAuthorizer": True, "DefaultAuthorizer": "AWS_IAM"}


def limits(stack: Stack, api: str, route: str | None = None) -> tuple[int, int]:
    found = stage(stack, api)
    settings = found["RouteSettings"][route] if route else found["DefaultRouteSettings"]
    return settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]


def stage(stack: Stack, api: str) -> Properties:
    (found,) = (stage for stage in stack.all("ApiGatewayV2::Stage").values() if target(stage["ApiId"]) == api)
    return found


def test_webhooks_are_throttled_by_themselves_and_harder(stack: Stack) -> None:
    assert limits(stack, "WebhookApi") == (10, 20)
    assert limits(stack, "Api") == (200, 400)


def test_the_limits_are_parameters() -> None:
    stack = Stack(ApiRateLimit=1, ApiBurstLimit=2, WebhookRateLimit=3, WebhookBurstLimit=4)
    assert limits(stack, "Api") == (1, 2)
    assert limits(stack, "WebhookApi") == (3, 4)
    assert limits(stack, "WebhookApi", STREAM_ROUTE) == (1, 2)


def test_the_settings_of_a_route_come_after_it(stack: Stack) -> None:
    (resource,) = (
        TEMPLATE["Resources"][id] for id, found in stack.all("ApiGatewayV2::Stage").items() if "RouteSettings" in found
    )
    assert resource["DependsOn"] == "StreamRoute"


def test_the_access_log_takes_no_room_in_the_accounts_policy(stack: Stack) -> None:
    # Which API Gateway extends for every log group whose name does not begin so, up to 5,120 characters.
    assert stack["ApiLogGroup"]["LogGroupName"] == {"Fn::Sub": "/aws/vendedlogs/${AWS::StackName}/api"}


@pytest.mark.parametrize("api", ["Api", "WebhookApi"])
def test_the_access_log_says_who_asked_for_what_and_nothing_secret(stack: Stack, api: str) -> None:
    settings = stage(stack, api)["AccessLogSettings"]
    assert target(settings["DestinationArn"]) == "ApiLogGroup"
    fields = json.loads(settings["Format"])
    assert {"requestId", "time", "routeKey", "status", "sourceIp"} <= fields.keys()
    assert {"caller", "subject"} <= fields.keys() or api == "WebhookApi"
    # A path may hold the token of a webhook, and so may a query.
    assert not [value for value in fields.values() if "path" in value.lower() or "query" in value.lower()]


def test_webhooks_are_handed_out_at_your_address_where_you_have_one(stack: Stack) -> None:
    own = {"Fn::Sub": "https://${WebhookApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}/webhooks"}
    for function in stack.all("Lambda::Function").values():
        assert function["Environment"]["Variables"]["WORLDFLOW_WEBHOOK_URL"] == own
    named = Stack(WebhookBaseUrl=BASE_URL)
    for function in named.all("Lambda::Function").values():
        assert function["Environment"]["Variables"]["WORLDFLOW_WEBHOOK_URL"] == {
            "Fn::Sub": "${WebhookBaseUrl}/webhooks"
        }
    of_an_application = TEMPLATE["Outputs"]["WebhookUrl"]["Value"]["Fn::If"]
    assert of_an_application == ["HasWebhookBaseUrl", {"Fn::Sub": "${WebhookBaseUrl}/webhooks"}, own]


@pytest.mark.parametrize(
    "url",
    [
        "hooks.example.com",
        "http://hooks.example.com",
        "https://hooks.example.com/",
        "https://hooks.example.com/in?a=b",
        "https:// hooks.example.com",
    ],
)
def test_an_address_that_webhooks_cannot_have_is_refused(url: str) -> None:
    pattern = TEMPLATE["Parameters"]["WebhookBaseUrl"]["AllowedPattern"]
    assert not re.fullmatch(pattern, url)
    assert re.fullmatch(pattern, BASE_URL) and re.fullmatch(pattern, BASE_URL + "/in")
