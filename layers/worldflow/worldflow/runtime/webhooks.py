"""Hooks from outside: a sender that has a token sends a value to the run that holds it.

A webhook's token is its run's and its hook's id and when it expires, signed, so that a forged one is refused without a
look-up. (Those of 0.2.0 had no expiry; they are good for as long as their key.) Requests are answered here: by the
signal function of the template, or by any application that hands them to `receive`.
"""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydantic_core import from_json

from worldflow.engine.errors import FieldError, HookFailedError, HookNotFoundError, InvalidInputError
from worldflow.engine.history import Failure, HookResumed, Replied, RunEnded
from worldflow.engine.history.failures import encode_exception
from worldflow.engine.ids import check_id
from worldflow.engine.values.serialization import ANYTHING, Codec, check_text
from worldflow.engine.workflow.context import check_token
from worldflow.engine.workflow.webhooks import FAIL, HEARTBEAT, WebhookRequest
from worldflow.runtime.callers import asked_by, caller
from worldflow.turns.webhook_tokens import _expiry, _is_signed
from worldflow.worlds import items
from worldflow.worlds.base import World
from worldflow.worlds.hook_beats import put_hook_beat
from worldflow.worlds.messages import FactArrived
from worldflow.worlds.payloads import fetch, fetch_event, stash, stash_failure
from worldflow.worlds.records import HookRecord

REQUEST_LIMIT = 256 * 1024
"""Bytes of a request's body."""

REPORT_LIMIT = 4_096
"""Characters of a failure that a request reports."""

ANSWER_TIMEOUT = 20.0
"""Seconds that a request waits for the workflow's answer; API Gateway waits for 30."""

_FIRST_POLL, _LONGEST_POLL = 0.05, 1.0


@cache
def _requests() -> Codec:
    return Codec(WebhookRequest, "request")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response."""

    status: int
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})


def get_hook(world: World, token: str) -> HookRecord:
    """Who holds a token. Raises `HookNotFoundError`, and `InvalidInputError` for what is no token."""
    check_token(token)
    hook = _live_hook(world, token)
    return hook.model_copy(update={"metadata": fetch(world, hook.metadata)})


def _live_hook(world: World, token: str) -> HookRecord:
    hook = items.get_hook(world, token)
    record = world.get_run(hook.run_id) if hook else None
    if hook is None or record is None or record.ended:
        raise HookNotFoundError(f"no live run has a hook with the token {token!r}", token)
    return hook


def resume_hook(world: World, token: str, value: Any = None, *, resume_id: str | None = None) -> HookRecord:
    """Sends a value to the hook with this token. Returns the hook's record, which names its run.

    resume_id: identifies the value: sent twice with the same id, it is delivered once. Default: a new id.
    Raises `HookNotFoundError`, `InvalidInputError` for an invalid token, and `SerializationError`.
    """
    check_id(resume_id, "resume_id")
    encoded = ANYTHING.encode(value)
    hook = get_hook(world, token)
    _send(world, hook, encoded, resume_id or uuid.uuid4().hex)
    return hook


def fail_hook(world: World, token: str, error: str | BaseException, *, resume_id: str | None = None) -> HookRecord:
    """Sends a failure to the hook with this token. Returns the hook's record, which names its run.

    error: what awaiting the hook raises; a text becomes a `HookFailedError`.
    resume_id: as for `resume_hook`.
    Raises `HookNotFoundError`, and `InvalidInputError` for an invalid token.
    """
    check_id(resume_id, "resume_id")
    if isinstance(error, str):
        check_text(error, "error")
        error = HookFailedError(error, token)
    elif not isinstance(error, Exception):
        raise InvalidInputError(f"{error!r} is not an error", [FieldError("error", "must be text or an exception")])
    hook = get_hook(world, token)
    _send(world, hook, None, resume_id or uuid.uuid4().hex, encode_exception(error))
    return hook


def heartbeat_hook(world: World, token: str) -> HookRecord:
    """Reports, for a hook with a `heartbeat_timeout`, that a value is still to come. Returns the hook's record.

    Raises `HookNotFoundError`, and `InvalidInputError` for an invalid token.
    """
    check_token(token)
    hook = _live_hook(world, token)
    put_hook_beat(world, hook)
    return hook


def receive(
    world: World,
    token: str,
    *,
    method: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    request_id: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Answer:
    """Handles a request to a webhook and returns the response. Waits for the workflow if the workflow is to respond.

    request_id: identifies the request: copies with the same id are delivered once. Default: a new id.
    A token that ends with `.fail` is that of `Webhook.fail_url`: the hook fails, with the body as text, or what is
    under `error` in a JSON object. One that ends with `.heartbeat` is that of `Webhook.heartbeat_url`.
    Responds 404 to a forged token, 410 if the token has expired or the run has ended or disposed of the hook, and 413
    to more than 256 KB.
    """
    if len(body) > REQUEST_LIMIT:
        return _refusal(413, f"the body is larger than {REQUEST_LIMIT} bytes")
    token, ending = _parted(token)
    if not _is_signed(token, world.webhooks.keys()) and not _is_signed(token, world.webhooks.newer_keys()):
        return _refusal(404, "there is no such webhook")
    if (expires := _expiry(token)) is not None and world.now().timestamp() >= expires:
        return _refusal(410, "this webhook has expired")
    try:
        hook = _live_hook(world, token)
    except HookNotFoundError:
        return _refusal(410, "this webhook no longer accepts requests")
    if ending == HEARTBEAT:
        put_hook_beat(world, hook)
        return Answer(202)
    named = {name.lower(): value for name, value in (headers or {}).items()}
    request = WebhookRequest(method=method, headers=named, query=dict(query or {}), body=body)
    resume_id = request_id or uuid.uuid4().hex
    with asked_by(named.get("traceparent")):
        if ending == FAIL:
            error = HookFailedError(_reported(body), token)
            _send(world, hook, None, resume_id, encode_exception(error))
            return Answer(202)
        fact_id = _send(world, hook, _requests().encode(request), resume_id)
    return _answer(world, hook, fact_id, sleep) if hook.answers else Answer(202)


def _parted(token: str) -> tuple[str, str | None]:
    """A token without its ending, and the ending, if it has one."""
    ending = next((one for one in (FAIL, HEARTBEAT) if token.endswith(one)), None)
    return (token.removesuffix(ending), ending) if ending else (token, None)


def _reported(body: bytes) -> str:
    """The failure that a request reports."""
    text = body.decode(errors="replace").strip()
    try:
        parsed = from_json(text)
    except ValueError:
        parsed = None
    if isinstance(parsed, dict) and isinstance(parsed.get("error"), str):
        text = parsed["error"]
    return text[:REPORT_LIMIT] or "the sender reported a failure"


def _send(world: World, hook: HookRecord, value: Any, resume_id: str, error: Failure | None = None) -> str:
    fact = HookResumed(
        hook_id=hook.hook_id,
        resume_id=resume_id,
        value=stash(world, hook.run_id, value),
        traceparent=caller(),
        error=stash_failure(world, hook.run_id, error) if error else None,
    )
    world.send([FactArrived(run_id=hook.run_id, fact=fact)])
    return fact.fact_id


def _answer(world: World, hook: HookRecord, fact_id: str, sleep: Callable[[float], None]) -> Answer:
    """The workflow's answer; 202 if it gives none in time."""
    poll, waited, after = _FIRST_POLL, 0.0, 0
    while True:
        for event in world.load_history(hook.run_id, after):
            after = event.seq
            if isinstance(event, Replied) and event.fact_id == fact_id:
                answer = fetch_event(world, event).result
                return Answer(answer["status"], base64.b64decode(answer["body"]), answer["headers"])
            if isinstance(event, RunEnded):
                return Answer(202)
        if waited >= ANSWER_TIMEOUT:
            return Answer(202)
        sleep(poll)
        waited += poll
        poll = min(poll * 1.5, _LONGEST_POLL)


def _refusal(status: int, message: str) -> Answer:
    return Answer(status, b'{"error":{"type":"WebhookError","message":"%s","fields":[]}}' % message.encode())
