"""`@entity`: how a class becomes one of entities."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, overload

from worldflow.engine.errors import ConfigurationError, InvalidInputError
from worldflow.engine.ids import check_name
from worldflow.engine.workflow import entity_calls, entity_runs
from worldflow.engine.workflow.entities import Definition, Entity

E = TypeVar("E", bound=Entity)


@overload
def entity(cls: type[E], /) -> type[E]: ...
@overload
def entity(*, name: str | None = None, inline_steps: bool = False) -> Callable[[type[E]], type[E]]: ...
def entity(cls: Any = None, /, *, name: str | None = None, inline_steps: bool = False) -> Any:
    """Makes a class that derives from `Entity` a class of entities.

        @entity
        class Account(Entity):
            balance: int = 0

            async def deposit(self, amount: int) -> int:
                self.balance += amount
                return self.balance

    Attributes that are annotated are the state: anything that pydantic validates, with a default. Public methods are
    `async def` and are the operations. Those of one key run one at a time, in the order in which they are called, and
    may call steps and wait. One that raises changes nothing: its caller gets the exception.

    name: of the class in ids and histories. Default: that of the class.
    inline_steps: as of `workflow`.
    """

    def decorate(cls: type[E]) -> type[E]:
        if not (inspect.isclass(cls) and issubclass(cls, Entity) and cls is not Entity):
            raise ConfigurationError(f"@entity needs a class as in `class Account(Entity)`, which {cls!r} is not")
        known_as = name or cls.__name__
        try:
            check_name(known_as, "name")
        except InvalidInputError as error:
            raise ConfigurationError(f"@entity of {cls.__name__}: {error.summary}") from None
        cls._definition = Definition(cls, known_as, entity_calls)
        entity_runs.add(cls._definition, inline_steps=inline_steps)
        return cls

    return decorate if cls is None else decorate(cls)
