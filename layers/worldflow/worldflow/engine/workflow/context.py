"""What the code of workflows and steps calls."""

from __future__ import annotations

import asyncio
import logging
import math
import random as _random
import re
import sys
import uuid
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NoReturn, TypeVar, overload

from worldflow import clock
from worldflow.engine.durations import Duration, seconds
from worldflow.engine.errors import ContinueAsNew, FieldError, InvalidInputError, OutsideError, SerializationError
from worldflow.engine.here import COLLECTOR, running_loop
from worldflow.engine.history import Attribute, AttributesSet, Json, dump_value
from worldflow.engine.values.serialization import ANYTHING, check_text
from worldflow.engine.workflow.awaitables import Call
from worldflow.engine.workflow.execution import RECORD_LIMIT, Execution, WorkflowInfo
from worldflow.engine.workflow.inbox import Hook, OnMisfit
from worldflow.engine.workflow.mailbox import Receive
from worldflow.engine.workflow.webhooks import LONGEST_LIFE, Webhook

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

STATUS_LIMIT = 1_000

_TOKEN = re.compile(r"[A-Za-z0-9_.:=@+-]{1,200}")


@dataclass(frozen=True, slots=True)
class StepInfo:
    """What a step may know of itself. `attempt` counts from 1."""

    run_id: str
    step_id: str
    attempt: int
    heartbeat_details: Any = None
    """What the last heartbeat of the attempts before was given."""
    origin: str | None = None
    """The run in which the step was called first, where this one goes on from it."""
    _beat: Callable[[Json], bool] = field(default=lambda _: True, repr=False, compare=False)

    def heartbeat(self, details: Any = None) -> None:
        """Says that the attempt goes on. For steps with a `heartbeat_timeout`; a request to the store each.

        details: what JSON carries; the next attempt finds it as `heartbeat_details`, should this one fail.
        Raises `asyncio.CancelledError` if the workflow does not want the step any more.
        """
        if not self._beat(ANYTHING.encode(details)):
            raise asyncio.CancelledError("the workflow no longer needs this step")

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this step, also when a failed run is retried: for the services it calls."""
        return f"{self.origin or self.run_id}/{self.step_id}"


current_step: ContextVar[StepInfo] = ContextVar("worldflow_step")


def _execution(what: str) -> Execution:
    loop = running_loop()
    if loop is None:
        raise OutsideError(f"{what} only works inside a workflow")
    assert isinstance(loop.host, Execution)
    return loop.host


def sleep(until: Duration | datetime) -> Coroutine[Any, Any, None]:
    """Waits for a duration (`"10s"`, `"3d"`, seconds or a timedelta), or until a time. In a workflow it is durable: no
    process waits.

    The same as `asyncio.sleep`, which is durable in a workflow too, with durations as people write them. A time without
    a timezone is a `ValueError`; one that is past does not wait.
    """
    loop = running_loop()
    if loop is None:
        return _sleep(until)
    frame = sys._getframe(1)
    return Call(_sleep(until), loop, ("sleep", "sleep(...)", frame.f_code, frame.f_lasti))


async def _sleep(until: Duration | datetime) -> None:
    if isinstance(until, datetime):
        if until.tzinfo is None:
            raise ValueError(f"{until!r} has no timezone: write datetime(..., tzinfo=UTC)")
        loop = running_loop()
        moment = loop.host.now() if loop else clock.now()
        await asyncio.sleep(max(0.0, (until - moment).total_seconds()))
    else:
        await asyncio.sleep(seconds(until))


@overload
def wait_for_signal(name: str, *, on_misfit: OnMisfit = "skip") -> Receive[Any]: ...
@overload
def wait_for_signal(name: str, type: type[T], *, on_misfit: OnMisfit = "skip") -> Receive[T]: ...
def wait_for_signal(name: str, type: Any = None, *, on_misfit: OnMisfit = "skip") -> Receive[Any]:
    """Awaited, the value of the next signal of this name; in an `async for`, of one after the other.

    Signals that came before anybody waited are kept, in order.

    type: what the value is read as (anything that pydantic validates); unless given, the type that
        `@workflow(signals=...)` declares for the name, or else the JSON that it is.
    on_misfit: a value that does not fit is left out, with a warning in the log, and the wait goes on (`skip`), or the
        wait raises `SerializationError` (`raise`). The signal is spent in either case.
    Raises `InvalidInputError` for a name that no signal can have. To wait no longer than some time, use
    `asyncio.timeout`.
    """
    run = _execution("wait_for_signal()")
    _check_on_misfit(on_misfit)
    return run.inbox.wait_for_signal(name, type, on_misfit)


def _check_on_misfit(on_misfit: str) -> None:
    if on_misfit not in ("skip", "raise"):
        raise ValueError(f'on_misfit must be "skip" or "raise", not {on_misfit!r}')


@overload
def create_hook(*, token: str | None = None, metadata: Json = None, on_misfit: OnMisfit = "skip") -> Hook[Any]: ...
@overload
def create_hook(
    type: type[T], *, token: str | None = None, metadata: Json = None, on_misfit: OnMisfit = "skip"
) -> Hook[T]: ...
def create_hook(
    type: Any = None, *, token: str | None = None, metadata: Json = None, on_misfit: OnMisfit = "skip"
) -> Hook[Any]:
    """A hook: whoever has its token can send it values, without knowing the run.

    type: what the values are read as; as the JSON they are, unless given.
    token: up to 200 letters, digits and `_.:=@+-`; one that nobody can guess, unless given. While another live run
        holds it, awaiting the hook raises `HookConflictError`.
    metadata: what JSON carries, up to 16 KB, for those who look the token up.
    on_misfit: what becomes of a value that does not fit `type`: see `wait_for_signal`.
    """
    run = _execution("create_hook()")
    _check_on_misfit(on_misfit)
    data = _metadata(metadata)
    if token is not None:
        check_token(token)
    hook: Hook[Any] = run.inbox.create_hook(
        lambda hook_id: Hook(run, hook_id, run.uuid4().hex if token is None else token, data, type, on_misfit)
    )
    return hook


def create_webhook(
    *,
    respond: Literal["accepted", "workflow"] = "accepted",
    metadata: Json = None,
    expires_in: Duration = LONGEST_LIFE,
) -> Webhook:
    """A hook with a signed `url`, which takes any HTTP request: its values are `WebhookRequest`s.

    respond: requests are answered 202 at once, or by the workflow's `request.respond(...)`.
    expires_in: for how long the URL is good: 366 days, which is the most, unless given.
    """
    if respond not in ("accepted", "workflow"):
        raise ValueError(f'respond must be "accepted" or "workflow", not {respond!r}')
    run = _execution("create_webhook()")
    data, life = _metadata(metadata), seconds(expires_in)
    if life > LONGEST_LIFE.total_seconds():
        raise ValueError(f"a webhook URL is valid for at most {LONGEST_LIFE.days} days, not {expires_in!r}")
    webhook: Webhook = run.inbox.create_hook(
        lambda hook_id: Webhook(run, hook_id, answers=respond == "workflow", metadata=data, life=life)
    )
    return webhook


def _metadata(metadata: Json) -> Json:
    data = ANYTHING.encode(metadata)
    if len(dump_value(data)) > RECORD_LIMIT:
        raise SerializationError(f"a hook's metadata must be at most {RECORD_LIMIT} bytes of JSON", "metadata")
    return data


def continue_as_new(*args: Any, **kwargs: Any) -> NoReturn:
    """Ends this run as `continued`, and begins the workflow anew with these arguments and an empty history.

    The next generation has the id `<id>~2` and so on. Signals and updates that nobody has read go with it; steps,
    timers, hooks and children do not. Leaves by raising, so call it from the workflow and not from a task of it.
    """
    run = _execution("continue_as_new()")
    raise ContinueAsNew(run.next_input(run.workflow.signature.bind(*args, **kwargs)))


def patched(change_id: str) -> bool:
    """Whether to go the new way of a change to the workflow's code: not where the run had passed this place before.

        if patched("charge-before-packing"):
            ...  # new
        else:
            ...  # old, until no run needs it: then deprecate_patch("charge-before-packing")

    As in Temporal: the first answer holds for the rest of the run. Raises `SerializationError` for text that UTF-8 does
    not have.
    """
    check_text(change_id, "change_id")
    return _execution("patched()").patched(change_id)


def deprecate_patch(change_id: str) -> None:
    """In place of `patched(change_id)` when only the new way is left in the code.

    To be removed when no run is left that `patched` has answered.
    """
    check_text(change_id, "change_id")
    _execution("deprecate_patch()").patched(change_id, deprecated=True)


def set_attributes(**attributes: Attribute | None) -> None:
    """Sets attributes of the run, by which runs can be listed: text, numbers and bools. None takes one away.

    Raises `SerializationError` for other values, and where all attributes of the run come to more than 16 KB.
    """
    for name, value in attributes.items():
        check_text(name, "attribute name")
        if isinstance(value, str):
            check_text(value, name)
        is_one = isinstance(value, (str, int, bool)) or (isinstance(value, float) and math.isfinite(value))
        if value is not None and not is_one:
            raise SerializationError(f"an attribute must be a string, a finite number or a bool, not {value!r}", name)
    _execution("set_attributes()").set_attributes(attributes)


def set_status(text: str) -> None:
    """Sets the run's `status_text`: a line for people, such as "packing 3 of 5"; cut at 1,000 characters.

    Raises `SerializationError` for text that UTF-8 cannot encode.
    """
    status = str(text)[:STATUS_LIMIT]
    check_text(status, "status")
    _execution("set_status()").decide(AttributesSet(status_text=status))


def publish(name: str, value: Any) -> None:
    """Shows a value to queries (`run.query(name)`); a callable is called when somebody asks, and must only look.

    Nothing is written: a query replays the run's history and asks what the workflow has published. Raises
    `SerializationError` for a name that UTF-8 cannot encode.
    """
    check_text(name, "name")
    _execution("publish()").published[name] = value


def on_update(name: str) -> Callable[[F], F]:
    """Makes a function the handler of the updates of this name, from here to the end of the run.

        @on_update("add_item")
        async def add_item(item: Item) -> int: ...

    It is called with the arguments of `run.update(name, ...)`, checked by its annotations. What it returns or raises is
    the caller's answer. An async handler may call steps and wait; several run at a time, as tasks do.
    """
    run = _execution("on_update()")

    def register(handler: F) -> F:
        run.inbox.on_update(name, handler)
        return handler

    return register


def check_token(token: str) -> None:
    """Raises `InvalidInputError` for what is no hook's token."""
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        rule = "1 to 200 letters, digits and _.:=@+-"
        raise InvalidInputError(
            f"{token!r} is not a valid hook token: it must be {rule}", [FieldError("token", f"must be {rule}")]
        )


def now() -> datetime:
    """The time at which the workflow learned of what it is handling: the same on every replay."""
    return _execution("now()").now()


def uuid4() -> uuid.UUID:
    """A random UUID: the same on every replay."""
    return _execution("uuid4()").uuid4()


def random() -> _random.Random:
    """The run's own source of chance, such as `random().choice(...)`: the same on every replay."""
    return _execution("random()").random


def workflow_info() -> WorkflowInfo:
    """The run that this code is the workflow of."""
    return _execution("workflow_info()").info


def step_info() -> StepInfo:
    """The attempt of the step that this code runs in. Raises `OutsideError` elsewhere."""
    try:
        return current_step.get()
    except LookupError:
        raise OutsideError("step_info() only works inside a step that a workflow called") from None


class _Once(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        loop = running_loop()
        return loop is None or (loop is not COLLECTOR and not loop.host.replaying)


logger = logging.getLogger("worldflow.workflow")
"""For workflows: what it logs is logged when it happens, and not again on each replay. Elsewhere an ordinary logger."""
logger.addFilter(_Once())
