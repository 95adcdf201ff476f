"""The key of webhooks is rotated: new URLs are signed with the new one, and those that are out there stay good."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.secretsmanager.models import secretsmanager_backends

from tests.support.aws import REGION, Stack
from tests.support.systems import Clock, ClockedAWSWorld
from worldflow import ConfigurationError
from worldflow.engine.workflow.webhooks import LONGEST_LIFE
from worldflow.runtime.webhooks import receive
from worldflow.turns.webhook_tokens import WebhooksOf
from worldflow.worlds.aws.webhook_keys import READ_AGAIN, UNKNOWN_AGAIN, is_rotation, rotate

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")


class Office:
    """A secret, and processes that use it."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.clock = stack, Clock()
        self.secrets: Any = boto3.client("secretsmanager", region_name=REGION)
        name = f"webhooks-{uuid.uuid4()}"
        self.arn = self.secrets.create_secret(Name=name, SecretString="as CloudFormation made it")["ARN"]
        self.world = self.process()

    def process(self) -> ClockedAWSWorld:
        settings = self.stack.settings.model_copy(update={"webhook_secret_arn": self.arn})
        world = ClockedAWSWorld(settings, session=self.stack.session)
        world.access.clock = self.clock
        return world

    def rotate(self, steps: tuple[str, ...] = STEPS, version: str | None = None) -> str:
        version = version or str(uuid.uuid4())
        versions = secretsmanager_backends[DEFAULT_ACCOUNT_ID][REGION].secrets[self.arn].versions
        if version not in versions:
            # As Secrets Manager does when it begins: the version is there before it has a value.
            for other in versions.values():
                other["version_stages"] = [stage for stage in other["version_stages"] if stage != "AWSPENDING"]
            versions[version] = {"version_id": version, "version_stages": ["AWSPENDING"], "createdate": 0}
        for step in steps:
            rotate(self.world.access, {"Step": step, "SecretId": self.arn, "ClientRequestToken": version})
        return version

    def try_out(self, value: str) -> None:
        """As Secrets Manager does when a schedule is made that does not rotate immediately."""
        versions = secretsmanager_backends[DEFAULT_ACCOUNT_ID][REGION].secrets[self.arn].versions
        version = str(uuid.uuid4())
        pending = {"version_id": version, "version_stages": ["AWSPENDING"], "createdate": 0, "secret_string": value}
        versions[version] = pending
        try:
            rotate(self.world.access, {"Step": "testSecret", "SecretId": self.arn, "ClientRequestToken": version})
        finally:
            del versions[version]

    def current(self) -> str:
        return str(self.secrets.get_secret_value(SecretId=self.arn, VersionStage="AWSCURRENT")["SecretString"])

    def keys(self) -> list[str]:
        text = self.current()
        try:
            return [key["key"] for key in json.loads(text)["keys"]]
        except ValueError:
            return [text]

    def token(self, world: ClockedAWSWorld | None = None, life: timedelta = LONGEST_LIFE) -> str:
        world = world or self.process()
        return WebhooksOf(world).token("r", "h1", world.now() + life)

    def later(self, delay: timedelta) -> None:
        self.clock.forward(self.clock.now() + delay)


@pytest.fixture
def office(stack: Stack) -> Office:
    return Office(stack)


def is_good(world: ClockedAWSWorld, token: str) -> bool:
    """Whether a token is taken for genuine: 410 is that its run is gone, which there never was."""
    status = receive(world, token, method="POST").status
    assert status in (404, 410)
    return status == 410


def test_what_is_signed_before_and_after_is_good(office: Office) -> None:
    before = office.token()
    office.rotate()
    after = office.token()

    assert office.keys()[1:] == ["as CloudFormation made it"]
    assert len(office.keys()[0]) >= 43
    assert [is_good(office.process(), token) for token in (before, after)] == [True, True]
    assert not is_good(office.process(), after[:-1] + ("A" if after[-1] != "A" else "E"))


def test_a_process_that_meets_a_new_key_reads_the_secret_again_but_not_for_every_forgery(office: Office) -> None:
    old = office.world
    assert is_good(old, office.token(old))
    office.rotate()
    after = office.token()
    assert is_good(old, after)

    office.stack.requests.clear()
    assert not any(is_good(old, f"{after[:-4]}{n:04}") for n in range(20))
    assert office.stack.requests.count("secrets-manager.GetSecretValue") == 0
    office.later(UNKNOWN_AGAIN)
    assert not any(is_good(old, f"{after[:-4]}{n:04}") for n in range(20))
    assert office.stack.requests.count("secrets-manager.GetSecretValue") == 1


@pytest.mark.time_of_day
def test_a_process_signs_with_a_new_key_within_the_hour(office: Office) -> None:
    office.token(office.world)
    office.rotate()
    assert office.token(office.world).rpartition(".")[0] == office.token().rpartition(".")[0]
    assert list(office.world.webhooks.keys()) == [b"as CloudFormation made it"]
    office.later(READ_AGAIN)
    assert len(office.world.webhooks.keys()) == 2


def test_secrets_manager_out_of_reach_does_not_matter_to_a_process_that_has_the_keys(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = office.token(office.world)
    office.secrets.delete_secret(SecretId=office.arn)
    office.later(READ_AGAIN)
    assert is_good(office.world, before)
    with pytest.raises(Exception, match=r"InvalidRequest|ResourceNotFound"):
        office.process().webhooks.keys()


def test_a_key_is_kept_for_as_long_as_anything_that_it_has_signed_lives(office: Office) -> None:
    tokens: list[tuple[str, Any]] = []
    for _ in range(9):
        tokens.append((office.token(), office.clock.now() + LONGEST_LIFE))
        office.later(timedelta(days=100))
        office.rotate()
        process = office.process()
        assert all(is_good(process, token) for token, until in tokens if until > office.clock.now())
    # The one that signs, those of the three times before in this year, and the one before which signed into it.
    assert len(office.keys()) == 5


@pytest.mark.parametrize("step", STEPS)
def test_each_step_may_come_again(office: Office, step: str) -> None:
    version = office.rotate(STEPS[: STEPS.index(step) + 1])
    pending = office.secrets.get_secret_value(SecretId=office.arn, VersionId=version)["SecretString"]
    office.rotate(STEPS[STEPS.index(step) :], version)

    current = office.secrets.get_secret_value(SecretId=office.arn, VersionStage="AWSCURRENT")
    assert (current["VersionId"], current["SecretString"]) == (version, pending)
    office.rotate(STEPS, version)
    assert len(office.keys()) == 2


def test_a_version_that_has_lost_the_key_in_use_is_not_taken(office: Office) -> None:
    version = office.rotate(("createSecret",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("worldflow.worlds.aws.webhook_keys._rotated", lambda keys, now: [{"key": "x", "created_at": ""}])
        other = office.rotate(("createSecret",))
    with pytest.raises(ConfigurationError, match="lacks the key that currently signs"):
        office.rotate(("testSecret",), other)
    assert office.keys() == ["as CloudFormation made it"]
    assert version != other


@pytest.mark.parametrize("rotations", [0, 1, 2])
def test_a_schedule_may_be_tried_out_with_a_copy_of_the_keys_in_use(office: Office, rotations: int) -> None:
    for _ in range(rotations):
        office.rotate()
    office.try_out(office.current())
    assert len(office.keys()) == rotations + 1


@pytest.mark.parametrize("value", ["another key", '{"keys": []}', ""])
def test_a_schedule_is_not_tried_out_with_other_keys(office: Office, value: str) -> None:
    office.rotate()
    with pytest.raises(ConfigurationError, match="lacks the key that currently signs"):
        office.try_out(value)


@pytest.mark.parametrize(
    "change",
    [
        lambda office, event: {**event, "SecretId": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:other"},
        lambda office, event: {**event, "Step": "dropSecret"},
        lambda office, event: {**event, "ClientRequestToken": str(uuid.uuid4())},
    ],
    ids=["another secret", "no step", "a version that is not pending"],
)
def test_what_is_no_rotation_of_this_secret_is_refused(
    office: Office, change: Callable[[Office, dict[str, str]], dict[str, str]]
) -> None:
    version = office.rotate(("createSecret",))
    event = {"Step": "finishSecret", "SecretId": office.arn, "ClientRequestToken": version}
    assert is_rotation(event) and not is_rotation({"Records": []})
    with pytest.raises(ConfigurationError):
        rotate(office.world.access, change(office, event))
    assert office.keys() == ["as CloudFormation made it"]


def test_the_log_has_no_key(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "worldflow")
    office.rotate()
    assert "rotated" in caplog.text
    keys = office.keys()
    assert not any(key in caplog.text for key in keys)
