"""The runs of entities: their calls, one at a time, in the order in which they come.

A call comes as an update. While the entity is locked, the calls of others stay where they are; so they do when the run
continues as its next generation, which it does between two calls when its history is long.

A call that a workflow made before this generation began may be a copy of one that an earlier generation has answered,
and of which this one was not told: that is looked up.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from worldflow.engine.errors import ContinueAsNew, InvalidInputError, RunEndedError, SerializationError, WorldflowError
from worldflow.engine.history import Json, Replied, UpdateReceived, dump_value
from worldflow.engine.history.failures import encode_exception
from worldflow.engine.ids import entity_workflow, generation
from worldflow.engine.workflow.context import _execution, continue_as_new, publish
from worldflow.engine.workflow.definitions import Workflow, add_workflow
from worldflow.engine.workflow.entities import LOCK, UNLOCK, Definition, Entity
from worldflow.engine.workflow.entity_calls import lost
from worldflow.engine.workflow.execution import Execution
from worldflow.engine.workflow.own_steps import _others, _own
from worldflow.engine.workflow.retry import RetryPolicy

LONG = 1_000
"""Events after which an entity continues as its next generation."""

LIMIT = 256 * 1024
"""Bytes of the state of an entity, and of an answer."""

SKEW = timedelta(seconds=5)
"""How far the clocks of two processes may be apart."""


def _answer(run_id: str, step_id: str, outcome: dict[str, Any]) -> None:
    _others().answer_call(run_id, step_id, outcome)


def _was_called(run_id: str, fact_id: str, since: str, caller: str, step_id: str) -> bool:
    return _others().was_called(run_id, fact_id, since, caller, step_id)


_ENDLESS = RetryPolicy(max_attempts=1_000_000, max_interval="10m")
"""An entity that fails loses its state, so its steps are retried until an outage is over."""

ANSWER = _own(_answer, "answer_entity_call", _ENDLESS)
WAS_CALLED = _own(_was_called, "find_entity_call", _ENDLESS)


def add(definition: Definition, *, inline_steps: bool) -> None:
    """Makes the workflow of an entity known."""

    async def serve(state: dict[str, Any] | None = None) -> None:
        await _Service(definition, _execution("an entity"), state or {}).serve()

    serve.__module__ = definition.cls.__module__
    serve.__qualname__ = definition.cls.__qualname__
    add_workflow(Workflow(serve, entity_workflow(definition.name), inline_steps=inline_steps))


def check(value: Json, what: str) -> None:
    """Raises `SerializationError` for more than an entity may hold or answer."""
    if len(dump_value(value)) > LIMIT:
        raise SerializationError(f"{what} must be at most {LIMIT:,} bytes of JSON", what)


class _Service:
    def __init__(self, definition: Definition, run: Execution, state: dict[str, Json]) -> None:
        self._definition = definition
        self._run = run
        self._key = generation(run.run_id)[0].partition("@")[2]
        try:
            self._entity: Entity = definition.revive(self._key, state)
            self._state = definition.state(self._entity)
        except SerializationError as error:
            run.give_up(error)  # if the run failed, the next call would begin with the defaults
        self._lock: str | None = None
        self._lease: asyncio.TimerHandle | None = None

    async def serve(self) -> None:
        publish("state", lambda: self._state)
        self._run.inbox.refuses = self._refuses
        try:
            while True:
                if self._run.length >= LONG and self._lock is None:
                    continue_as_new(state=self._definition.state(self._entity))
                await self._take(await self._run.inbox.next_update(self._accepts))
                if (task := asyncio.current_task()) and task.cancelling():
                    raise asyncio.CancelledError  # an operation has swallowed it
        except asyncio.CancelledError:
            await self._refuse_all()
            raise

    def _refuses(self, fact: UpdateReceived) -> bool:
        """Refuses a call from an entity that the running operation waits for: neither would ever end."""
        if not fact.waiting or not self._run.calls.waits_for(fact.waiting):
            return False
        me, other = generation(self._run.run_id)[0], fact.waiting[-1]
        problem = f"{other} cannot call {me}, whose operation waits for it to end"
        self._run.loop.create_task(self._reply(fact, error=WorldflowError(problem)))
        return True

    def _accepts(self, fact: UpdateReceived) -> bool:
        """Whether a call is next: while the entity is locked, only those of a holder, of this lock or of one before."""
        return self._lock is None or fact.name == UNLOCK or (fact.lock is not None and fact.name != LOCK)

    async def _take(self, fact: UpdateReceived) -> None:
        if await self._is_copy(fact):
            return
        try:
            result = await self._perform(fact)
        except (GeneratorExit, KeyboardInterrupt):
            raise
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or not task.cancelling():
                await self._fail(fact, error)
                return
            await self._reply(fact, error=RunEndedError(self._run.run_id, "cancelled"))
            raise
        except ContinueAsNew:
            problem = "an operation cannot call continue_as_new(): its entity continues as new by itself"
            await self._fail(fact, WorldflowError(problem))
        except BaseException as error:
            await self._fail(fact, error)
        else:
            await self._reply(fact, result)

    async def _fail(self, fact: UpdateReceived, error: BaseException) -> None:
        """Answers a call whose operation has raised, and restores the state from before it."""
        self._entity = self._definition.revive(self._key, self._state)
        await self._reply(fact, error=error)

    async def _perform(self, fact: UpdateReceived) -> Any:
        if fact.name == UNLOCK:
            self._unlock(dict(fact.args)["lock"])
            return None
        if fact.name == LOCK and fact.caller is not None:
            arguments = self._definition.lock.signature.decode(fact.args)
            self._lock = arguments["lock"]
            self._lease = self._run.loop.call_later(arguments["lease"], self._unlock, self._lock)
            return None
        if fact.lock != self._lock:
            raise lost(generation(self._run.run_id)[0])
        operation = self._definition.operations.get(fact.name)
        if operation is None:
            known = ", ".join(sorted(self._definition.operations))
            raise InvalidInputError(f"{self._definition.name} has no operation {fact.name!r}; it has: {known}")
        signature = operation.signature
        if isinstance(fact.args, dict):
            arguments = signature.decode(fact.args)
        else:
            arguments = signature.parse(signature.by_name(fact.args or []))
        self._run.entities.waiting = [*(fact.waiting or ()), generation(self._run.run_id)[0]]
        args, kwargs = signature.spread(arguments)
        value = await operation.function(self._entity, *args, **kwargs)
        state = self._definition.state(self._entity)
        result = signature.result.encode(value)
        check(state, "the state of the entity")
        check(result, "the result")
        self._state = state
        return result

    def _unlock(self, lock: str) -> None:
        if self._lease and self._lock == lock:
            self._lease.cancel()
            self._lock = self._lease = None
            self._run.inbox.look_again()
        for fact in self._run.inbox.take_back(lambda fact: fact.name == LOCK and fact.lock == lock):
            self._run.decide(
                Replied(fact_id=fact.fact_id, error=encode_exception(WorldflowError("not wanted any more")))
            )

    # --- answers ---

    async def _reply(self, fact: UpdateReceived, result: Json = None, error: BaseException | None = None) -> None:
        failure = None if error is None else encode_exception(error)
        self._run.decide(Replied(fact_id=fact.fact_id, result=result, error=failure))
        if fact.caller:
            # Without the traceback: it differs where other code, or another handler of exceptions, runs this again.
            told = failure and failure.model_dump(mode="json", exclude_none=True, exclude={"traceback"})
            outcome = {"error": told} if told else {"result": result}
            await self._run.call_step(ANSWER, (fact.caller.run_id, fact.caller.child_id, outcome), {})

    async def _refuse_all(self) -> None:
        for fact in self._run.inbox.take_back(lambda fact: True):
            await self._reply(fact, error=RunEndedError(self._run.run_id, "cancelled"))

    async def _is_copy(self, fact: UpdateReceived) -> bool:
        run = self._run
        if fact.caller is None or fact.called_at is None or generation(run.run_id)[1] == 1:
            return False
        assert run.started is not None
        if fact.called_at > run.info.started_at + SKEW or fact.fact_id in (run.started.seen or ()):
            return False
        asked = (run.run_id, fact.fact_id, fact.called_at.isoformat(), fact.caller.run_id, fact.caller.child_id)
        return bool(await run.call_step(WAS_CALLED, asked, {}))
