"""Secrets Manager: a rotation is done by its function.

Wrong, and what AWS does:

- `AWS::SecretsManager::RotationSchedule` is unknown, so that no template with one is deployed. AWS notes the function
  and its rules on the secret. (Nobody waits here for the days to pass.)
- `RotateSecret` makes a version with the old value by itself. AWS calls the function four times, once for each step.
  Where the secret is not to be rotated immediately, AWS tries the function out: it calls it with the step `testSecret`
  for a version that has the value in use, and then removes that version.
"""

import json
import logging
import threading
from collections.abc import Sequence
from typing import Any

from ministack.core.responses import error_response_json, json_response, new_uuid
from ministack.services import lambda_svc, secretsmanager
from ministack.services.cloudformation import provisioners

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")

logger = logging.getLogger("secrets")


def apply() -> None:
    handler = {"create": _create_schedule, "update": _update_schedule, "delete": _delete_schedule}
    provisioners._RESOURCE_HANDLERS["AWS::SecretsManager::RotationSchedule"] = handler
    secretsmanager._rotate_secret = _rotate


def _create_schedule(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
    _, secret = secretsmanager._resolve(properties["SecretId"])
    _note(secret, properties)
    _begin(secret, new_uuid(), properties.get("RotateImmediatelyOnUpdate"))
    return secret["ARN"], {}


def _update_schedule(physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str, *_: Any) -> Any:
    return _create_schedule("", new, stack)


def _delete_schedule(physical_id: str, properties: dict[str, Any]) -> None:
    _, secret = secretsmanager._resolve(physical_id)
    if secret:
        secret.update(RotationEnabled=False)


def _note(secret: dict[str, Any], request: dict[str, Any]) -> None:
    secret["RotationLambdaARN"] = request.get("RotationLambdaARN") or secret.get("RotationLambdaARN")
    secret["RotationRules"] = request.get("RotationRules") or secret.get("RotationRules")
    secret["RotationEnabled"] = True


def _rotate(request: dict[str, Any]) -> Any:
    _, secret = secretsmanager._resolve(request.get("SecretId"))
    if not secret:
        return error_response_json("ResourceNotFoundException", "Secrets Manager can't find the specified secret.", 400)
    _note(secret, request)
    token = request.get("ClientRequestToken") or new_uuid()
    _begin(secret, token, request.get("RotateImmediately"))
    return json_response({"ARN": secret["ARN"], "Name": secret["Name"], "VersionId": token})


def _begin(secret: dict[str, Any], version: str, immediately: object) -> None:
    """Rotates a secret, or tries out whether it could be. As on AWS, nobody waits for it."""
    do = _try_out if str(immediately).lower() == "false" else _call_the_function
    threading.Thread(target=do, args=(secret, version), daemon=True).start()


def _try_out(secret: dict[str, Any], version: str) -> None:
    (current,) = (value for value in secret["Versions"].values() if "AWSCURRENT" in value["Stages"])
    secret["Versions"][version] = {**current, "Stages": ["AWSPENDING"]}
    try:
        _call_the_function(secret, version, ("testSecret",))
    finally:
        del secret["Versions"][version]


def _call_the_function(secret: dict[str, Any], version: str, steps: Sequence[str] = STEPS) -> None:
    function, config, name = lambda_svc._get_func_record_for_ref(secret["RotationLambdaARN"])
    if not function or not config:
        logger.warning("%s cannot be rotated: there is no function %s", secret["Name"], name)
        return
    record = lambda_svc._execution_record_for_config(function, config)
    for step in steps:
        event = {"Step": step, "SecretId": secret["ARN"], "ClientRequestToken": version}
        result = lambda_svc._execute_function_with_config_scope(record, event)
        if result.get("error"):
            logger.warning("%s is not rotated: %s failed: %s", secret["Name"], step, json.dumps(result.get("body")))
            return
