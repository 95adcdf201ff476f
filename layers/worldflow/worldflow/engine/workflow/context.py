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
from datetime import datetime
from typing import Any, Literal, NoReturn, TypeVar, overload

from typing_extensions import TypeForm

from worldflow import clock
from worldflow.engine.durations import Duration, seconds
from worldflow.engine.errors import ContinueAsNew, FieldError, InvalidInputError, OutsideError, SerializationError
from worldflow.engine.here import COLLECTOR, running_loop
from worldflow.engine.history import Attribute, AttributesSet, Json, dump_value
from worldflow.engine.values.serialization import ANYTHING, check_text
from worldflow.engine.workflow.awaitables import Call
from worldflow.engine.workflow.beats import read_timeout
from worldflow.engine.workflow.execution import RECORD_LIMIT, Execution
from worldflow.engine.workflow.inbox import Hook, OnMisfit
from worldflow.engine.workflow.mailbox import Receive
from worldflow.engine.workflow.run import WorkflowInfo
from worldflow.engine.workflow.step_info import current_step
from worldflow.engine.workflow.webhooks import LONGEST_LIFE, Webhook

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

STATUS_LIMIT = 1_000

_TOKEN = re.compile(r"[A-Za-z0-9_.:=@+-]{1,200}")


def _execution(what: str) -> Execution:
    loop = running_loop()
    if loop is None:
        raise OutsideError(f"{what} only works inside a workflow")
    execution: Execution = loop.host
    return execution


def sleep(until: Duration | datetime) -> Coroutine[object, None, None]:
    """Waits for a duration (`"10s"`, `"3d"`, seconds or a timedelta), or until a time. In a workflow it is durable: no
    process waits.

    Like `asyncio.sleep`, which is also durable in a workflow, but accepts readable durations. Raises `ValueError` for a
    time without a timezone. Does not wait for a time in the past.
    """
    loop = running_loop()
    if loop is None:
        return _sleep(until)
    frame = sys._getframe(1)
    return Call(_sleep(until), loop.host.loop, ("sleep", "sleep(...)", frame.f_code, frame.f_lasti))


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
def wait_for_signal(name: str, type: TypeForm[T], *, on_misfit: OnMisfit = "skip") -> Receive[T]: ...
def wait_for_signal(name: str, type: Any = None, *, on_misfit: OnMisfit = "skip") -> Receive[Any]:
    """Returns the value of the next signal of this name when awaited, and of each next signal in an `async for`.

    Signals that arrive before the workflow waits for them are kept, in order.

    type: the type of the value (anything that pydantic validates). Default: the type that `@workflow(signals=...)`
        declares for the name, otherwise plain JSON.
    on_misfit: for a value that does not match the type, `skip` logs a warning and continues to wait, and `raise` raises
        `SerializationError`. Either way the signal is consumed.
    Raises `InvalidInputError` for an invalid name. To limit the wait, use `asyncio.timeout`.
    """
    run = _execution("wait_for_signal()")
    _check_on_misfit(on_misfit)
    return run.inbox.wait_for_signal(name, type, on_misfit)


def _check_on_misfit(on_misfit: str) -> None:
    if on_misfit not in ("skip", "raise"):
        raise ValueError(f'on_misfit must be "skip" or "raise", not {on_misfit!r}')


@overload
def create_hook(
    *,
    token: str | None = None,
    metadata: Json = None,
    on_misfit: OnMisfit = "skip",
    heartbeat_timeout: Duration | None = None,
) -> Hook[Any]: ...
@overload
def create_hook(
    type: TypeForm[T],
    *,
    token: str | None = None,
    metadata: Json = None,
    on_misfit: OnMisfit = "skip",
    heartbeat_timeout: Duration | None = None,
) -> Hook[T]: ...
def create_hook(
    type: Any = None,
    *,
    token: str | None = None,
    metadata: Json = None,
    on_misfit: OnMisfit = "skip",
    heartbeat_timeout: Duration | None = None,
) -> Hook[Any]:
    """Creates a hook. A sender needs only its token to send it values, not the run's id.

    type: the type of the values. Default: plain JSON.
    token: up to 200 letters, digits and `_.:=@+-`. Default: a token that cannot be guessed. While another live run
        holds the token, awaiting the hook raises `HookConflictError`.
    metadata: JSON of up to 16 KB, returned by `get_hook`.
    on_misfit: what happens to a value that does not match `type`: see `wait_for_signal`.
    heartbeat_timeout: how long a wait for a value may last without `Orchestrator.heartbeat_hook`; up to 30 days. After
        that it raises `HookTimeoutError`. Default: no limit.
    """
    run = _execution("create_hook()")
    _check_on_misfit(on_misfit)
    data, limit = _metadata(metadata), read_timeout(heartbeat_timeout)
    if token is not None:
        check_token(token)
    hook: Hook[Any] = run.inbox.create_hook(
        lambda hook_id: Hook(run.inbox, hook_id, run.uuid4().hex if token is None else token, data, type, on_misfit)
    )
    hook.heartbeat_timeout = limit
    return hook


def create_webhook(
    *,
    respond: Literal["accepted", "workflow"] = "accepted",
    metadata: Json = None,
    expires_in: Duration = LONGEST_LIFE,
    heartbeat_timeout: Duration | None = None,
) -> Webhook:
    """Creates a hook with a signed `url`, which accepts any HTTP request. Its values are `WebhookRequest`s.

    respond: `"accepted"` answers each request with 202 at once; with `"workflow"`, the workflow answers with
        `request.respond(...)`.
    expires_in: how long the URL is valid. Default and maximum: 366 days.
    heartbeat_timeout: as for `create_hook`; requests to `heartbeat_url` are heartbeats.
    """
    if respond not in ("accepted", "workflow"):
        raise ValueError(f'respond must be "accepted" or "workflow", not {respond!r}')
    run = _execution("create_webhook()")
    data, life, limit = _metadata(metadata), seconds(expires_in), read_timeout(heartbeat_timeout)
    if life > LONGEST_LIFE.total_seconds():
        raise ValueError(f"a webhook URL is valid for at most {LONGEST_LIFE.days} days, not {expires_in!r}")
    webhook: Webhook = run.inbox.create_hook(
        lambda hook_id: Webhook(run.inbox, hook_id, answers=respond == "workflow", metadata=data, life=life)
    )
    webhook.heartbeat_timeout = limit
    return webhook


def _metadata(metadata: Json) -> Json:
    data = ANYTHING.encode(metadata)
    if len(dump_value(data)) > RECORD_LIMIT:
        raise SerializationError(f"a hook's metadata must be at most {RECORD_LIMIT} bytes of JSON", "metadata")
    return data


def continue_as_new(*args: Any, **kwargs: Any) -> NoReturn:
    """Ends this run as `continued`, and restarts the workflow with these arguments and an empty history.

    The next generation has the id `<id>~2`, and so on. It takes over unread signals and updates, but no steps, timers,
    hooks or children. Raises to leave the workflow, so call it from the workflow itself, not from a task.
    """
    run = _execution("continue_as_new()")
    raise ContinueAsNew(run.next_input(run.workflow.signature.bind(*args, **kwargs)))


def patched(change_id: str) -> bool:
    """Whether to take the new path of a change to the workflow's code: False if the run passed this place before.

        if patched("charge-before-packing"):
            ...  # new
        else:
            ...  # old, until no run needs it: then deprecate_patch("charge-before-packing")

    As in Temporal, the first answer holds for the rest of the run. Raises `SerializationError` for text that UTF-8
    cannot encode.
    """
    check_text(change_id, "change_id")
    return _execution("patched()").patched(change_id)


def deprecate_patch(change_id: str) -> None:
    """Replaces `patched(change_id)` once only the new path is left in the code.

    Remove it when no run is left for which `patched` was called.
    """
    check_text(change_id, "change_id")
    _execution("deprecate_patch()").patched(change_id, deprecated=True)


def set_attributes(**attributes: Attribute | None) -> None:
    """Sets attributes of the run (strings, numbers and bools), by which runs can be listed. None removes an attribute.

    Raises `SerializationError` for other values, and if all attributes of the run exceed 16 KB.
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
    """Publishes a value for queries (`run.query(name)`). A callable is called for each query, and must be read-only.

    Nothing is written: a query replays the run's history and returns what the workflow has published. Raises
    `SerializationError` for a name that UTF-8 cannot encode.
    """
    check_text(name, "name")
    _execution("publish()").published[name] = value


def on_update(name: str, *, validator: Callable[..., object] | None = None) -> Callable[[F], F]:
    """Makes a function the handler of updates of this name, from here to the end of the run.

        @on_update("add_item")
        async def add_item(item: Item) -> int: ...

    It is called with the arguments of `run.update(name, ...)`, validated against its annotations. The caller gets what
    it returns or raises. An async handler may call steps and wait; several can run concurrently, like tasks.

    validator: a plain function with the handler's parameters, which is called before an update is recorded. If it
        raises, the caller gets the exception, and the history nothing. It must only look: a replay does not call it,
        and it can call nothing of Worldflow. Arguments that do not fit are refused in the same way.
    """
    run = _execution("on_update()")

    def register(handler: F) -> F:
        run.inbox.on_update(name, handler, validator)
        return handler

    return register


async def all_handlers_finished() -> None:
    """Waits until no update handler of this run is running: before the end of a workflow, or `continue_as_new()`.

    A handler that still runs when its run ends answers its caller with `RunEndedError`.
    """
    await _execution("all_handlers_finished()").inbox.handlers_finished()


def check_token(token: str) -> None:
    """Raises `InvalidInputError` for what is no hook's token."""
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        rule = "1 to 200 letters, digits and _.:=@+-"
        raise InvalidInputError(
            f"{token!r} is not a valid hook token: it must be {rule}", [FieldError("token", f"must be {rule}")]
        )


def now() -> datetime:
    """The time at which the workflow received the event that it is handling: the same on every replay."""
    return _execution("now()").now()


def uuid4() -> uuid.UUID:
    """A random UUID: the same on every replay."""
    return _execution("uuid4()").uuid4()


def random() -> _random.Random:
    """The run's own random generator, as in `random().choice(...)`: the same numbers on every replay."""
    return _execution("random()").random


def workflow_info() -> WorkflowInfo:
    """The run whose workflow is calling."""
    return _execution("workflow_info()").info


def in_workflow() -> bool:
    """Whether this code runs in a workflow, so that calling a step schedules it. False in steps and everywhere else.

    For libraries that are used in both. Also True in the `finally` of code that is discarded, where calls do nothing.
    """
    return running_loop() is not None


def record_usage(model: str, *, input_tokens: int = 0, output_tokens: int = 0, **other: int) -> None:
    """Records tokens that this attempt of a step has used. Calls add up for each model.

    They stand in the history with the attempt's outcome, also where it fails, and `worldflow cost` has their price.

    model: the name that the provider reports, or that the request named.
    other: further counts, such as `cache_read_input_tokens`, named after OpenTelemetry's `gen_ai.usage.*`.
    Raises `OutsideError` outside a step.
    """
    try:
        info = current_step.get()
    except LookupError:
        raise OutsideError("record_usage() only works inside a step that a workflow called") from None
    info._usage.record(model, {"input_tokens": input_tokens, "output_tokens": output_tokens, **other})


class _Once(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        loop = running_loop()
        return loop is None or (loop is not COLLECTOR and not loop.host.replaying)


logger = logging.getLogger("worldflow.workflow")
"""For workflows: what it logs is logged when it happens, and not again on each replay. Elsewhere an ordinary logger."""
logger.addFilter(_Once())
