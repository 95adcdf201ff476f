"""HTTP APIs: the routes of `AWS::Serverless::HttpApi` exist, and a failing function tells nothing.

Wrong, and what AWS does:

- SAM writes the routes of an HTTP API as an OpenAPI document into the property `Body` of `AWS::ApiGatewayV2::Api`,
  which is ignored, so that every path answers 404. AWS imports the document, on creation and on each update.
- When the function fails, the caller gets its error message and status 502. AWS answers 500, "Internal Server Error".
"""

from collections.abc import Iterator
from typing import Any

from ministack.services import apigateway, lambda_svc
from ministack.services.cloudformation import provisioners

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
_ANY = "x-amazon-apigateway-any-method"

_to_response = lambda_svc.lambda_execute_result_to_api_proxy_response


def apply() -> None:
    handlers = provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::Api"]
    create, update = handlers["create"], handlers["update"]

    def create_with_body(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        api_id, attributes = create(logical_id, properties, stack)
        _import_routes(api_id, properties)
        return api_id, attributes

    def update_with_body(
        physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str | None = None
    ) -> Any:
        api_id, attributes = update(physical_id, old, new, stack, logical_id)
        _import_routes(api_id, new)
        return api_id, attributes

    handlers["create"], handlers["update"] = create_with_body, update_with_body
    lambda_svc.lambda_execute_result_to_api_proxy_response = _without_error


def _import_routes(api_id: str, properties: dict[str, Any]) -> None:
    body = properties.get("Body")
    if not body:
        return
    apigateway._integrations[api_id] = {}
    apigateway._routes[api_id] = {}
    apigateway._authorizers[api_id] = {}
    schemes = {
        name: _authorization(api_id, name, scheme)
        for name, scheme in body.get("components", {}).get("securitySchemes", {}).items()
    }
    for route_key, operation in _operations(body):
        integration = operation["x-amazon-apigateway-integration"]
        integration_id, _ = provisioners._apigw_v2_integration_create(
            "",
            {
                "ApiId": api_id,
                "IntegrationUri": integration["uri"],
                "PayloadFormatVersion": integration.get("payloadFormatVersion", "2.0"),
            },
            "",
        )
        provisioners._apigw_v2_route_create(
            "",
            {
                "ApiId": api_id,
                "RouteKey": route_key,
                "Target": f"integrations/{integration_id}",
                **_required(schemes, operation),
            },
            "",
        )


def _operations(body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in body.get("paths", {}).items():
        for method, operation in operations.items():
            if path == "/$default":
                yield "$default", operation
            elif method == _ANY:
                yield f"ANY {path}", operation
            elif method in _METHODS:
                yield f"{method.upper()} {path}", operation


def _authorization(api_id: str, name: str, scheme: dict[str, Any]) -> dict[str, str]:
    """What a route says that asks for a scheme."""
    if scheme.get("x-amazon-apigateway-authtype") == "awsSigv4":
        return {"AuthorizationType": "AWS_IAM"}
    authorizer = scheme["x-amazon-apigateway-authorizer"]
    issued = authorizer["jwtConfiguration"]
    authorizer_id, _ = provisioners._apigw_v2_authorizer_create(
        name,
        {
            "ApiId": api_id,
            "AuthorizerType": "JWT",
            "IdentitySource": [authorizer["identitySource"]],
            "JwtConfiguration": {"Issuer": issued["issuer"], "Audience": issued["audience"]},
        },
        "",
    )
    return {"AuthorizationType": "JWT", "AuthorizerId": authorizer_id}


def _required(schemes: dict[str, dict[str, str]], operation: dict[str, Any]) -> dict[str, Any]:
    for requirement in operation.get("security", []):
        for name, scopes in requirement.items():
            if name in schemes:
                return {**schemes[name], "AuthorizationScopes": scopes}
    return {"AuthorizationType": "NONE"}


def _without_error(result: dict[str, Any]) -> Any:
    if result.get("error"):
        headers = {"Content-Type": "application/json"}
        return {"statusCode": 500, "headers": headers, "body": '{"message":"Internal Server Error"}'}, None
    return _to_response(result)
