"""What others send to a workflow: signals, payloads of hooks, updates."""

from __future__ import annotations

import asyncio
import copy
import inspect
import logging
import sys
from collections.abc import AsyncIterator, Callable, Generator, Mapping, Sequence
from typing import Any, Generic, Literal, Self, TypeVar

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from worldflow.engine.errors import (
    ContinueAsNew,
    HookConflictError,
    HookNotFoundError,
    InvalidInputError,
    RunEndedError,
    SerializationError,
    WorldflowError,
)
from worldflow.engine.history import (
    UNRECORDED,
    HookConflicted,
    HookCreated,
    HookDisposed,
    HookResumed,
    Json,
    Replied,
    SignalReceived,
    UpdateReceived,
    dump_events,
    load_events,
)
from worldflow.engine.history.failures import decode_exception, encode_exception
from worldflow.engine.ids import check_name
from worldflow.engine.privacy import described
from worldflow.engine.values.serialization import ANYTHING, Codec, explain
from worldflow.engine.values.signatures import Signature
from worldflow.engine.workflow.awaitables import Call
from worldflow.engine.workflow.beats import received
from worldflow.engine.workflow.mailbox import Mailbox, Receive
from worldflow.engine.workflow.own_steps import HOLDER
from worldflow.engine.workflow.run import Run
from worldflow.engine.workflow.validators import ARE_USED, Validator

T = TypeVar("T")

OnMisfit = Literal["skip", "raise"]

_log = logging.getLogger("worldflow")

_MISFITS_ARE_LEFT_OUT = "worldflow:misfits-are-left-out"
_NAMES_ARE_CHECKED = "worldflow:names-are-checked"
"""Changes to the engine that a run may have been before, as `patched()` has them of the user's code. Marked where they
make a difference, so that histories without the mark replay as they were.
"""

_CALLER = 2
"""Frames from here to the code that calls `wait_for_signal`."""

REMEMBERED = 500
"""Ids of facts that one generation hands to the next, so that a copy of one that comes late is known for what it is."""


class Inbox:
    """The mail of one execution."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._signals: dict[str, Mailbox[SignalReceived]] = {}
        self._hooks: dict[str, Hook[Any]] = {}
        self._hook_count = 0
        self._updates: list[UpdateReceived] = []
        self._handlers: dict[str, Signature] = {}
        self._taker: asyncio.Future[None] | None = None
        self.refuses: Callable[[UpdateReceived], bool] | None = None
        """In a workflow that takes updates one by one: refuses an update that must not wait. Returns whether it did."""
        self._validators: dict[str, Validator] = {}
        self._unvalidated: set[str] = set()
        self._begun: dict[str, UpdateReceived] = {}
        self.running: dict[str, UpdateReceived] = {}
        self._handling: dict[str, asyncio.Task[None]] = {}
        self._finishing: list[asyncio.Task[Any]] = []
        """Handlers that are in `handlers_finished`."""
        self._seen: dict[str, None] = {}

    @property
    def handlers(self) -> Mapping[str, Signature]:
        """The updates that the workflow handles, by name."""
        return self._handlers

    # --- what comes ---

    def receive(self, fact: SignalReceived | HookResumed | HookConflicted | UpdateReceived) -> None:
        if isinstance(fact, (SignalReceived, UpdateReceived)):
            self._seen[fact.fact_id] = None
        match fact:
            case SignalReceived():
                self._signal(fact.name).put(fact)
            case HookResumed():
                if hook := self._hooks.get(fact.hook_id):
                    hook._mail.put(fact)
            case HookConflicted():
                if hook := self._hooks.pop(fact.hook_id, None):
                    hook._mail.close(conflict(hook.token))
            case UpdateReceived() if fact.name in self._handlers:
                if fact.held:
                    self._unvalidated.add(fact.fact_id)
                self._begin(fact)
            case UpdateReceived() if self.refuses is None or not self.refuses(fact):
                self._updates.append(fact)
                self.look_again()

    # --- from one generation to the next ---

    def restore(self, carried: Json, seen: Sequence[str]) -> None:
        """Takes over what the generation before had not read."""
        self._seen.update(dict.fromkeys(seen))
        with self.run.own_time:
            facts = load_events(to_json(carried or []))
        for fact in facts:
            assert isinstance(fact, (SignalReceived, UpdateReceived))
            self.receive(fact)

    def unread(self) -> Json:
        """The signals and updates that nobody has received."""
        facts: list[Any] = [fact for mailbox in self._signals.values() for fact in mailbox.unread()]
        # As they were sent: a replay has them as they were recorded.
        sent = [fact.recorded(0, UNRECORDED).model_copy(update={"held": None}) for fact in (*facts, *self._updates)]
        with self.run.own_time:
            return from_json(dump_events(sent)) or None

    def seen(self) -> list[str]:
        return list(self._seen)[-REMEMBERED:]

    # --- signals ---

    def wait_for_signal(self, name: str, type: Any, on_misfit: OnMisfit) -> Receive[Any]:
        self._check_name(name)
        codec = self.run.workflow.signal_codec(name) if type is None else Codec(type, name)

        async def receive() -> Any:
            while True:
                fact = await self._signal(name).get()
                try:
                    return read(codec, fact.value, "the signal's value", name)
                except SerializationError as error:
                    self.leave_out(f"a value of signal {name!r}", error, on_misfit)

        frame = sys._getframe(_CALLER)
        return Receive(receive, self.run.loop, ("signal", f"wait_for_signal({name!r})", frame.f_code, frame.f_lasti))

    def _check_name(self, name: str) -> None:
        """Raises `InvalidInputError` for a name that nobody can send to, unless that went unnoticed when the run came
        here first.
        """
        try:
            check_name(name)
        except InvalidInputError:
            if self.run.patched(_NAMES_ARE_CHECKED, deprecated=True):
                raise

    def leave_out(self, what: str, error: SerializationError, on_misfit: OnMisfit) -> None:
        """Skips a value that does not match its type. Raises `error` where the workflow wants it to, and where it was
        raised when the run came here first.
        """
        if on_misfit == "raise" or not self.run.patched(_MISFITS_ARE_LEFT_OUT, deprecated=True):
            raise error
        if not self.run.replaying:
            _log.warning("run %s: skipped %s that does not match its type: %s", self.run.run_id, what, described(error))

    def _signal(self, name: str) -> Mailbox[SignalReceived]:
        if name not in self._signals:
            self._signals[name] = Mailbox(self.run.loop)
        return self._signals[name]

    def awaited(self) -> list[str]:
        """The signals that the workflow waits for now."""
        return sorted(name for name, mailbox in self._signals.items() if mailbox.is_awaited())

    # --- hooks ---

    def create_hook(self, make: Callable[[str], Hook[Any]]) -> Any:
        """Registers what `make` makes of a new hook's id."""
        self.run.loop.check_open()
        self._hook_count += 1
        hook = make(f"h{self._hook_count}")
        if any(other.token == hook.token for other in self._hooks.values()):
            raise HookConflictError(f"this run already holds the hook token {hook.token!r}", hook.token)
        self._hooks[hook.hook_id] = hook
        self.run.decide(
            HookCreated(
                hook_id=hook.hook_id,
                token=hook.token,
                metadata=copy.deepcopy(hook.metadata),  # the workflow has the hook's
                webhook=hook.is_webhook or None,
                answers=hook.answers or None,
            )
        )
        return hook

    def dispose_hook(self, hook_id: str) -> None:
        self.run.loop.check_open()
        if hook := self._hooks.pop(hook_id, None):
            hook._mail.close(HookNotFoundError(f"the hook {hook.token!r} was disposed of", hook.token))
            self.run.decide(HookDisposed(hook_id=hook_id))

    # --- updates ---

    def on_update(self, name: str, handler: Callable[..., Any], validator: Callable[..., Any] | None = None) -> None:
        self.run.loop.check_open()
        self._check_name(name)
        self._handlers[name] = signature = Signature(handler, name)
        self._validators.pop(name, None)
        if validator is not None:
            checked = Validator(validator, signature, name)
            if self.run.patched(ARE_USED, deprecated=True):
                self._validators[name] = checked
        waiting = [fact for fact in self._updates if fact.name == name]
        self._updates = [fact for fact in self._updates if fact.name != name]
        for fact in waiting:
            self._unvalidated.add(fact.fact_id)
            self._begin(fact)

    async def next_update(self, accepts: Callable[[UpdateReceived], bool]) -> UpdateReceived:
        """The first update that is accepted, for a workflow that takes them one at a time and has no handlers."""
        while True:
            for place, fact in enumerate(self._updates):
                if accepts(fact):
                    return self._updates.pop(place)
            self._taker = self.run.loop.create_future()
            await self._taker

    def look_again(self) -> None:
        """Wakes `next_update`: other updates may be accepted now."""
        if self._taker is not None and not self._taker.done():
            self._taker.set_result(None)

    def take_back(self, which: Callable[[UpdateReceived], bool]) -> list[UpdateReceived]:
        """The updates that nobody has taken, of those that are meant."""
        taken = [fact for fact in self._updates if which(fact)]
        self._updates = [fact for fact in self._updates if not which(fact)]
        return taken

    def validator(self, name: str) -> Validator | None:
        """What may refuse updates of this name before they are recorded."""
        return self._validators.get(name)

    def _begin(self, fact: UpdateReceived) -> None:
        self._begun[fact.fact_id] = fact
        task = self.run.loop.create_task(self._update(fact), name=f"update {fact.name}")
        self._handling[fact.fact_id] = task

    async def handlers_finished(self) -> None:
        """Waits until no handler runs. A handler that calls this does not wait for itself or others that call it."""
        here = asyncio.current_task()
        is_handler = here in self._handling.values()
        if is_handler and here:
            self._finishing.append(here)
        try:
            while handling := [
                task
                for task in self._handling.values()
                if not task.done() and not (is_handler and task in self._finishing)
            ]:
                await asyncio.wait(handling)
        finally:
            if is_handler and here:
                self._finishing.remove(here)

    def break_off(self) -> None:
        """Answers the updates whose handlers still run, as the run continues without them. The others are unread."""
        self._updates = [*self._begun.values(), *self._updates]
        error = RunEndedError(self.run.run_id, "continued")
        for fact_id in self.running:
            self.run.decide(Replied(fact_id=fact_id, error=encode_exception(error)))

    async def _update(self, fact: UpdateReceived) -> None:
        self.running[fact.fact_id] = self._begun.pop(fact.fact_id)
        signature = self._handlers[fact.name]
        try:
            self._validate(fact)
            arguments = signature.parse(signature.by_name(fact.args or []))
            value = signature.call(arguments)
            result = signature.result.encode(await value if inspect.isawaitable(value) else value)
        except (GeneratorExit, KeyboardInterrupt):
            raise
        except BaseException as raised:
            error = _of_a_handler(raised)
            self._finish(fact)
            self.run.decide(Replied(fact_id=fact.fact_id, error=encode_exception(error)))
        else:
            self._finish(fact)
            self.run.decide(Replied(fact_id=fact.fact_id, result=result))

    def _finish(self, fact: UpdateReceived) -> None:
        del self.running[fact.fact_id], self._handling[fact.fact_id]

    def _validate(self, fact: UpdateReceived) -> None:
        """Raises why an update is refused that no validator has seen yet."""
        if fact.fact_id not in self._unvalidated:
            return
        self._unvalidated.discard(fact.fact_id)
        if (validator := self._validators.get(fact.name)) and (refusal := validator.refusal(fact)):
            raise refusal


def _of_a_handler(error: BaseException) -> BaseException:
    """What the caller of an update gets to see."""
    if isinstance(error, ContinueAsNew):
        return WorldflowError("continue_as_new() must be called by the workflow itself, not by an update handler")
    return error


def conflict(token: str, holder: str | None = None) -> HookConflictError:
    """What awaiting a hook raises whose token another run holds."""
    error = HookConflictError(f"another live run holds the hook token {token!r}", token)
    if holder is not None:
        error.run_id = holder
    return error


class Hook(Generic[T]):
    """Receives values in a workflow from any sender that has its token. Created by `create_hook()`.

    Awaiting it returns the next value; `async for` iterates over all values. As a context manager, it is disposed of
    when the block ends.
    """

    is_webhook = False
    answers = False
    heartbeat_timeout: float | None = None

    def __init__(
        self, inbox: Inbox, hook_id: str, token: str, metadata: Json, type: Any, on_misfit: OnMisfit = "raise"
    ) -> None:
        self.hook_id = hook_id
        self.token = token
        self.metadata = metadata
        self._inbox = inbox
        self._mail: Mailbox[HookResumed] = Mailbox(inbox.run.loop)
        self._codec = None if type is None else Codec(type, "hook")
        self._on_misfit = on_misfit

    async def _receive(self) -> T:
        while True:
            fact = await received(self._inbox.run, self.hook_id, self.token, self._mail, self.heartbeat_timeout)
            try:
                return self._read(fact)
            except SerializationError as error:
                self._inbox.leave_out(f"a value of hook {self.hook_id}", error, self._on_misfit)

    async def get_conflict(self) -> HookConflictError | None:
        """Asks whether another live run holds the token, without waiting for a value. Returns the error that awaiting
        the hook would raise, with the other's `run_id`, or None if the token is this run's.

        Raises `HookNotFoundError` after `dispose`.
        """
        if isinstance(self._mail.error, HookNotFoundError):
            raise self._mail.error
        holder = await self._inbox.run.call_step(HOLDER, (self.token,), {})
        if holder == self._inbox.run.run_id:
            return None
        return conflict(self.token, holder)

    def _read(self, fact: HookResumed) -> T:
        if fact.error:
            raise decode_exception(fact.error)
        value: T = read(self._codec, fact.value, "the hook's value", self.token)
        return value

    def __await__(self) -> Generator[Any, Any, T]:
        return Call(self._receive(), self._inbox.run.loop).__await__()

    async def __aiter__(self) -> AsyncIterator[T]:
        while True:
            yield await self._receive()

    def dispose(self) -> None:
        """Releases the token. Awaiting the hook then raises `HookNotFoundError`, after the values already received."""
        self._inbox.dispose_hook(self.hook_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.dispose()


def read(codec: Codec | None, value: Json, what: str, where: str) -> Any:
    """`value` by its type; without one, as the JSON that it is. Raises `SerializationError`."""
    try:
        return (codec or ANYTHING).parse(value)
    except ValidationError as error:
        raise SerializationError(f"{what} does not match its type: {explain(error, 'value')}", where) from None
