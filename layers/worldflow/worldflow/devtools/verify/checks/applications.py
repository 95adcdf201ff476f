"""The managed policies of applications: each does what it is for, and is refused what the next one is for."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import boto3
from botocore.exceptions import ClientError

from worldflow.devtools.stack import request
from worldflow.devtools.verify.failures import Failed, Skipped
from worldflow.devtools.verify.outcome import check
from worldflow.devtools.verify.target import Target
from worldflow.runtime import Orchestrator, SyncOrchestrator
from worldflow.worlds import AWSWorld

REFUSED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException"}
PATIENCE = 60.0
"""Seconds until a role that has just been created can be assumed and has its policies."""
SETTLING = 15.0
"""Seconds from the first right of a role to the last."""
POLICIES = ("Start", "Read", "Operate")


class Application:
    """A process outside the stack, whose role has only some of the stack's policies."""

    def __init__(self, target: Target, session: boto3.Session) -> None:
        self._target = target
        self._session = session
        self.world = AWSWorld(target.world.settings, session=session)
        self.orchestrator: SyncOrchestrator = Orchestrator(self.world).sync

    def call(self, method: str, path: str, body: Any = None) -> int:
        """The status of a request to the API that this role has signed."""
        region = self._session.region_name or ""
        return request(method, self._target.api_url + path, body, {}, self._session.get_credentials(), region).status

    def is_refused(self, do: Callable[[], object]) -> bool:
        try:
            do()
        except ClientError as error:
            if error.response["Error"]["Code"] not in REFUSED:
                raise
            return True
        return False

    def expect_refusals(self, **calls: Callable[[], object]) -> None:
        if allowed := [name for name, do in calls.items() if not self.is_refused(do)]:
            raise Failed(f"the policy allows what it is not for: {', '.join(allowed)}")

    def expect_routes(self, allowed: list[tuple[str, str]], refused: list[tuple[str, str]]) -> None:
        """Of an API whose callers sign their requests. What it is allowed may fail for another reason."""
        if self._target.parameter("JwtIssuer"):
            return
        wrong = [f"{method} {path}" for method, path in allowed if self.call(method, path) == 403]
        if wrong:
            raise Failed(f"the policy does not allow {', '.join(wrong)}")
        wrong = [f"{method} {path}" for method, path in refused if self.call(method, path) != 403]
        if wrong:
            raise Failed(f"the policy allows {', '.join(wrong)}")


@contextmanager
def application(target: Target, *policies: str) -> Iterator[Application]:
    """An application with these policies of the stack. Raises `Skipped` if your identity may not create its role."""
    iam, name = target.client("iam"), f"{target.prefix}-{'-'.join(policies).lower()}"
    arns = [target.outputs[f"{policy}PolicyArn"] for policy in policies]
    try:
        with _skipped_if_refused():
            role = _create_role(target, name)
            for arn in arns:
                iam.attach_role_policy(RoleName=name, PolicyArn=arn)
            made = Application(target, _session(target, role))
        _wait_for_rights(made, target)
        yield made
    except ClientError as error:
        if error.response["Error"]["Code"] in REFUSED:
            raise Failed(f"{' and '.join(policies)}: refused what it is for: {error}") from None
        raise
    finally:
        for arn in arns:
            with suppress(ClientError):
                iam.detach_role_policy(RoleName=name, PolicyArn=arn)
        with suppress(ClientError):
            iam.delete_role(RoleName=name)


@contextmanager
def _skipped_if_refused() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] in REFUSED:
            raise Skipped(f"your identity may not create and assume a role: {error}") from None
        raise


def _create_role(target: Target, name: str) -> str:
    caller = target.client("sts").get_caller_identity()
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": caller["Account"]}}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    made = target.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document)
    return str(made["Role"]["Arn"])


def _session(target: Target, role: str) -> boto3.Session:
    """With the credentials of a role, which can be assumed some seconds after it was created."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            got = target.client("sts").assume_role(RoleArn=role, RoleSessionName="verify")["Credentials"]
        except ClientError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)
        else:
            return boto3.Session(
                aws_access_key_id=got["AccessKeyId"],
                aws_secret_access_key=got["SecretAccessKey"],
                aws_session_token=got["SessionToken"],
                region_name=target.session.region_name,
            )


def _wait_for_rights(made: Application, target: Target) -> None:
    """IAM takes seconds to apply the policies of a new role, each in its own time. One right is asked for."""
    target.until(lambda: not made.is_refused(lambda: made.world.load_history("nobody")) or None, PATIENCE, "no rights")
    if not target.is_local:
        time.sleep(SETTLING)


@check(
    "Policy: start and signal",
    statements=tuple(
        f"StartPolicy.{sid}"
        for sid in ("Stack", "Call", "History", "Read", "Write", "Starts", "Send", "DelayForLong",
                    "PassSchedulerRole", "Payloads", "Archives", "Absences", "CheckWebhooks", "Key", "EncryptPayloads")
    ),
    look=("Orchestrator",),
)  # fmt: skip
def start_policy(target: Target) -> str:
    """An application with StartPolicy starts, signals, updates and cancels runs, resumes hooks and awaits results. It
    cannot list runs, change schedules or take dead letters.
    """
    with application(target, "Start") as shop:
        run_id, token = f"{target.prefix}-shop", f"{target.prefix}-shop-token"
        target.runs += [run_id, f"{run_id}-asleep", f"{run_id}-hook"]
        run = shop.orchestrator.start_workflow(run_id, "verify_questions", {})
        if run.update("add", 42, timeout="1m") != 42:
            raise Failed("the update returned something else")
        run.signal("verify", "x")
        if run.result(timeout="1m") != 42:
            raise Failed("the run returned something else")
        shop.orchestrator.start_workflow(f"{run_id}-hook", "verify_hook", {"token": token})
        target.until(lambda: target.call("GET", f"/hooks/{token}").status == 200 or None, 60, "the hook does not exist")
        shop.orchestrator.resume_hook(token, "x" * 200_000)  # too large for a message
        target.ended(f"{run_id}-hook")
        shop.orchestrator.start_workflow(f"{run_id}-asleep", "verify_nap", {"duration": "1d"})
        shop.orchestrator.cancel(f"{run_id}-asleep")
        target.ended(f"{run_id}-asleep", "cancelled")
        shop.expect_refusals(
            list_runs=lambda: shop.world.list_runs(limit=1),
            list_schedules=lambda: shop.orchestrator.list_schedules(),
            get_schedule=lambda: shop.orchestrator.get_schedule("nobody"),
            redrive=lambda: shop.world.redrive(),
        )
        shop.expect_routes(
            [("POST", "/runs"), ("GET", f"/runs/{run_id}"), ("POST", f"/runs/{run_id}/signals/verify")],
            [("GET", "/runs"), ("POST", f"/runs/{run_id}/terminate"), ("POST", "/schedules")],
        )
    return "started, updated, signalled, cancelled; lists, schedules and dead letters are refused"


@check(
    "Policy: read",
    statements=tuple(
        f"ReadPolicy.{sid}"
        for sid in ("Stack", "Call", "History", "Read", "ListRuns", "Payloads", "Archives", "Absences", "Key",
                    "DecryptPayloads")
    ),
)  # fmt: skip
def read_policy(target: Target) -> str:
    """An application with ReadPolicy reads and lists runs and schedules. It cannot start or signal a run."""
    run_id = target.start("verify_pass", {"value": "x" * 200_000})
    target.ended(run_id)
    with application(target, "Read") as report:
        run = report.orchestrator.run(run_id)
        if (run.status(), run.result()) != ("completed", "x" * 200_000) or not run.events():
            raise Failed("the run is read differently")
        report.world.list_runs(limit=1)
        report.orchestrator.list_schedules()
        report.expect_refusals(
            start=lambda: report.orchestrator.start_workflow(f"{run_id}-2", "verify_pass", {"value": "x"}),
            write_a_payload=lambda: report.world.put_payload(f"{run_id}/x", b""),
            resume=lambda: report.orchestrator.start_workflow(run_id, "verify_pass", {}, reuse="allow"),
            delete_schedule=lambda: report.world.disarm_schedule("nobody"),
        )
        report.expect_routes(
            [("GET", "/runs"), ("GET", f"/runs/{run_id}/events"), ("GET", "/schedules")],
            [("POST", "/runs"), ("POST", f"/runs/{run_id}/cancel"), ("DELETE", "/schedules/nobody")],
        )
    return "read and listed; starts and every change are refused"


@check(
    "Policies: operate",
    statements=tuple(
        f"OperatePolicy.{sid}"
        for sid in ("Call", "Limits", "Schedules", "Schedule", "PassSchedulerRole", "PutBack", "TakeDeadLetters")
    ),
    look=("Orchestrator",),
)  # fmt: skip
def operate_policy(target: Target) -> str:
    """An operator with all three policies terminates, resumes, retries and forks runs, changes schedules, pauses a
    workflow, and puts dead letters back. It cannot delete a run.
    """
    failed = target.start("verify_retry")
    target.ended(failed, "failed")
    asleep, schedule_id = f"{target.prefix}-operated", f"{target.prefix}-operated"
    target.runs += [f"{failed}~2", asleep, f"{asleep}-fork"]
    with application(target, *POLICIES) as operator:
        calls = operator.orchestrator
        calls.retry(failed)
        target.ended(f"{failed}~2")
        calls.start_workflow(asleep, "verify_nap", {"duration": "1d"})
        target.waits(asleep, "TimerStarted")
        calls.resume(asleep)
        calls.fork(asleep, f"{asleep}-fork", after=2)
        for run_id in (asleep, f"{asleep}-fork"):
            calls.terminate(run_id)
            target.ended(run_id, "cancelled")
        try:
            calls.create_schedule(schedule_id, "verify_pass", {"value": "x"}, schedule="rate(30 days)")
            calls.update_schedule(schedule_id, paused=True)
            calls.delete_schedule(schedule_id)
        finally:
            target.call("DELETE", f"/schedules/{schedule_id}")  # which may be there, whatever the calls have answered
        calls.pause_workflow(f"{target.prefix}-nobody")
        calls.unpause_workflow(f"{target.prefix}-nobody")
        operator.world.redrive()
        operator.expect_refusals(
            delete_a_run=lambda: operator.world.access.delete(asleep, None),
            list_functions=lambda: operator.world.access.client("lambda").list_functions(),
        )
        operator.expect_routes([("GET", "/runs"), ("DELETE", "/schedules/nobody")], [])
    return "terminated, resumed, retried, forked, scheduled, paused, put back; deleting is refused"
