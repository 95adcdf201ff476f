"""The keys that sign webhooks, in a secret of AWS Secrets Manager, and their rotation.

The secret is JSON, the newest key first: `{"keys": [{"key": "...", "created_at": "2026-11-22T20:53:00+00:00"}]}`. Text
that is not of this form is one key, as a secret begins. The newest key signs, and all verify.

A key stops signing when the next one is made, and what it has signed lives for `LONGEST_LIFE` at most. Therefore a
rotation drops the keys whose successor is older than that, and a URL that was handed out is good until it expires.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from worldflow.engine.errors import ConfigurationError
from worldflow.engine.workflow.webhooks import LONGEST_LIFE
from worldflow.worlds.aws.access import AWSAccess

READ_AGAIN = timedelta(hours=1)
"""How long a process uses the keys that it has read."""

UNKNOWN_AGAIN = timedelta(minutes=1)
"""How often at most it reads them again for a token that none of them has signed: anybody may send such tokens."""

_log = logging.getLogger("worldflow")


class AWSWebhooks:
    """Webhooks, with the keys as a process knows them."""

    def __init__(self, access: AWSAccess) -> None:
        self._access = access
        self._keys: list[bytes] = []
        self._read_at = self._asked_at = access.now() - 2 * READ_AGAIN

    def url(self, token: str) -> str:
        return f"{self._access.required('webhook_url').rstrip('/')}/{token}"

    def keys(self) -> Sequence[bytes]:
        """The keys, the newest first."""
        if self._access.now() - self._read_at >= READ_AGAIN:
            self._read()
        return self._keys

    def newer_keys(self) -> Sequence[bytes]:
        """The keys, read again: one may be new."""
        if self._access.now() - self._asked_at >= UNKNOWN_AGAIN:
            self._asked_at = self._access.now()
            self._read()
        return self._keys

    def _read(self) -> None:
        client, secret = self._access.client("secretsmanager"), self._access.required("webhook_secret_arn")
        try:
            text = client.get_secret_value(SecretId=secret, VersionStage="AWSCURRENT")["SecretString"]
        except (ClientError, BotoCoreError) as error:
            if not self._keys:
                raise
            _log.warning("the webhook keys could not be refreshed: %s", _code(error))
        else:
            self._keys = [key["key"].encode() for key in _keys_of(text)]
            self._read_at = self._access.now()


def _code(error: Exception) -> str:
    return error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__


def is_rotation(event: Mapping[str, Any]) -> bool:
    """Whether an event of a function is a step of a secret's rotation."""
    return {"Step", "SecretId", "ClientRequestToken"} <= event.keys()


def rotate(access: AWSAccess, event: Mapping[str, Any]) -> None:
    """Does one of the four steps in which Secrets Manager rotates the secret of webhooks. Each may come again."""
    client, now = access.client("secretsmanager"), access.now()
    secret, version = event["SecretId"], event["ClientRequestToken"]
    if secret != access.required("webhook_secret_arn"):
        raise ConfigurationError(f"{secret} is not the secret of the webhook keys and cannot be rotated here")
    stages = client.describe_secret(SecretId=secret).get("VersionIdsToStages", {})
    if "AWSCURRENT" in stages.get(version, ()):
        return  # all is done
    if "AWSPENDING" not in stages.get(version, ()) and event["Step"] != "createSecret":
        raise ConfigurationError(f"version {version} of {secret} is not pending rotation")
    match event["Step"]:
        case "createSecret":
            if not _value(client, secret, VersionId=version, VersionStage="AWSPENDING"):
                current = _keys_of(_value(client, secret, VersionStage="AWSCURRENT") or "")
                text = json.dumps({"keys": _rotated(current, now)})
                client.put_secret_value(
                    SecretId=secret, ClientRequestToken=version, SecretString=text, VersionStages=["AWSPENDING"]
                )
        case "setSecret":
            pass  # the keys are used nowhere else
        case "testSecret":
            current = _keys_of(_value(client, secret, VersionStage="AWSCURRENT") or "")
            pending = _keys_of(_value(client, secret, VersionId=version, VersionStage="AWSPENDING") or "")
            # The same keys are no rotation: Secrets Manager tests a copy of the version in use when a schedule is made.
            if pending != current and current[0]["key"] not in [key["key"] for key in pending[1:]]:
                raise ConfigurationError(f"version {version} of {secret} lacks the key that currently signs webhooks")
        case "finishSecret":
            (before,) = (id for id, names in stages.items() if "AWSCURRENT" in names)
            client.update_secret_version_stage(
                SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=version, RemoveFromVersionId=before
            )
            _log.info("the webhook keys have been rotated")
        case step:
            raise ConfigurationError(f"{step!r} is not a rotation step")


def _value(client: Any, secret: str, **version: str) -> str | None:
    try:
        text: str = client.get_secret_value(SecretId=secret, **version)["SecretString"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return None
    return text


def _keys_of(text: str) -> list[dict[str, str]]:
    """The keys of a secret, the newest first."""
    try:
        keys = json.loads(text)["keys"]
        found = [{"created_at": "", **key} for key in keys if key["key"]]
    except (ValueError, TypeError, KeyError):
        found = []
    return found or [{"key": text, "created_at": ""}]


def _rotated(keys: Sequence[dict[str, str]], now: datetime) -> list[dict[str, str]]:
    """The keys with a new one, and without those that nothing alive is signed with."""
    new = {"key": secrets.token_urlsafe(48), "created_at": now.isoformat()}
    kept: list[dict[str, str]] = []
    successor = new
    for key in keys:
        # A process may sign with a key for a while after there is a newer one.
        if now - datetime.fromisoformat(successor["created_at"]) > LONGEST_LIFE + 2 * READ_AGAIN:
            break
        kept.append(key)
        successor = key if key["created_at"] else successor
    return [new, *kept]
