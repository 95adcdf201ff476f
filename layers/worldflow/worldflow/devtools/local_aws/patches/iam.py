"""IAM, where it is enforced: what our roles say is understood as AWS does.

Wrong, and what AWS does:

- `dynamodb:LeadingKeys` has no value, so that a statement with that condition never allows anything. On AWS it is the
  partition keys that the request names.
- Nor has `kms:EncryptionContext:<key>`. On AWS it is what the request's `EncryptionContext` has for the key.
- The schedule of a request is looked for in the group `default`, whatever its group. AWS checks
  `schedule/<group>/<name>`.
- A batch of messages needs an action of its own, such as `sqs:SendMessageBatch`. On AWS that does not exist, and
  `sqs:SendMessage` allows both.
- Requests come over plain HTTP, so that `aws:SecureTransport` is false and a policy that asks for TLS refuses them all.
  On AWS ours come over TLS.
- A caller that may create a schedule may give it any role. AWS asks for `iam:PassRole` on that role.
- A log stream is looked for as its group. AWS checks `log-group:<group>:log-stream:<stream>`, which is what a policy
  means with the `:*` at the end of a group's ARN.
"""

import json
import re
from typing import Any

from ministack import app
from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_region
from ministack.services import dynamodb, scheduler

_dynamodb_service_context = iam_actions.dynamodb_service_context
_extract_iam_action = iam_actions.extract_iam_action
_extract_resource_arn = iam_actions.extract_resource_arn
_request_tag_context = iam_actions.request_tag_context
_handle_scheduler_request = scheduler.handle_request


def apply() -> None:
    iam_actions.dynamodb_service_context = _context_with_leading_keys
    iam_actions.request_tag_context = _context_with_encryption_context
    iam_actions.extract_iam_action = _without_batch
    iam_actions.extract_resource_arn = _whole_resource_arn
    scheduler.handle_request = _with_passed_role
    app.pin_request_origin = _over_tls


def _context_with_leading_keys(body: bytes) -> dict[str, Any]:
    context: dict[str, Any] = _dynamodb_service_context(body)
    keys = _leading_keys(json.loads(body or b"{}"))
    if keys:
        context["dynamodb:LeadingKeys"] = keys
    return context


def _context_with_encryption_context(service: str, action: str, body: bytes, *request: Any) -> dict[str, Any]:
    context: dict[str, Any] = _request_tag_context(service, action, body, *request)
    if service != "kms":
        return context
    encrypted_for = json.loads(body or b"{}").get("EncryptionContext") or {}
    return context | {f"kms:EncryptionContext:{key}": value for key, value in encrypted_for.items()}


def _leading_keys(request: dict[str, Any]) -> list[str]:
    if "TransactItems" in request:
        operations = [operation for item in request["TransactItems"] for operation in item.values()]
        return [key for operation in operations for key in _leading_keys(operation)]
    if "RequestItems" in request:
        return [key for table, asked in request["RequestItems"].items() for key in _batched_keys(table, asked)]
    table = dynamodb._tables.get(str(request.get("TableName", "")).rsplit("/", 1)[-1])
    if table is None:
        return []
    hash_key = _hash_key(table, request.get("IndexName"))
    named = (request.get("Key") or request.get("Item") or {}).get(hash_key) or _queried(request, hash_key)
    return [str(value) for value in (named or {}).values()]


def _batched_keys(table: str, asked: Any) -> list[str]:
    """Of one table in a batch, which is written to by a list of requests and read by a list of keys."""
    operations = (
        [{"Key": key} for key in asked["Keys"]] if "Keys" in asked else [one for by in asked for one in by.values()]
    )
    return [key for operation in operations for key in _leading_keys({"TableName": table, **operation})]


def _hash_key(table: dict[str, Any], index_name: str | None) -> str:
    indexes = {index["IndexName"]: index for index in table.get("GlobalSecondaryIndexes") or []}
    schema = indexes[index_name]["KeySchema"] if index_name in indexes else table["KeySchema"]
    return next(str(key["AttributeName"]) for key in schema if key["KeyType"] == "HASH")


def _queried(request: dict[str, Any], hash_key: str) -> dict[str, Any] | None:
    """The value of `hash_key = :value` in a key condition."""
    names = request.get("ExpressionAttributeNames") or {}
    for name, value in re.findall(r"([#\w]+)\s*=\s*(:\w+)", request.get("KeyConditionExpression", "")):
        if names.get(name, name) == hash_key:
            found: dict[str, Any] | None = (request.get("ExpressionAttributeValues") or {}).get(value)
            return found
    return None


def _without_batch(*request: Any) -> str | None:
    action: str | None = _extract_iam_action(*request)
    return action.removesuffix("Batch") if action and action.startswith("sqs:") else action


def _whole_resource_arn(
    service: str, method: str, path: str, headers: Any, body: bytes, query: dict[str, Any], region: str, account: str
) -> Any:
    arn = _extract_resource_arn(service, method, path, headers, body, query, region, account)
    if service == "scheduler" and ":schedule/default/" in arn:
        named = query.get("groupName") or [json.loads(body or b"{}").get("GroupName", "default")]
        return arn.replace(":schedule/default/", f":schedule/{named[0]}/")
    if service == "logs" and ":log-group:" in arn and not arn.endswith(":*"):
        return f"{arn}:log-stream:{json.loads(body or b'{}').get('logStreamName', '')}"
    return arn


def _over_tls(source_ip: str, secure_transport: bool) -> None:
    iam_evaluator.pin_request_origin(source_ip, True)


async def _with_passed_role(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Any:
    role = json.loads(body or b"{}").get("Target", {}).get("RoleArn")
    if app.AUTH and role:
        denied = iam_evaluator.enforce(
            app.extract_access_key_id(headers, query),
            "iam:PassRole",
            "iam",
            get_region(),
            resource_arn=role,
            service_context={"iam:PassedToService": "scheduler.amazonaws.com"},
        )
        if denied:
            return iam_actions.access_denied_response(
                "scheduler", "iam:PassRole", denied.principal_arn, "", headers=headers, resource_arn=role
            )
    return await _handle_scheduler_request(method, path, headers, body, query)
