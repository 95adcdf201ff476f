"""The shapes of what is one of several, or passes through code of the user's or of pydantic's."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from worldflow.engine.history.base import Json
from worldflow.engine.values.differences import Difference, becomes, changed, unlike
from worldflow.engine.values.records import Record, Root
from worldflow.engine.values.shapes import ANYTHING, Anything, Nullable, Reference, Shape


class Union(Shape):
    def __init__(self, choices: Sequence[Shape]) -> None:
        self._choices = choices
        self.brief = any(choice.brief for choice in choices)

    @cached_property
    def _known(self) -> list[tuple[Shape, frozenset[type]]]:
        return [(choice, choice.kinds) for choice in self._choices if choice.kinds is not None]

    @cached_property
    def _takes_anything(self) -> bool:
        return any(isinstance(choice, Anything) for choice in self._choices)

    @cached_property
    def kinds(self) -> frozenset[type] | None:  # type: ignore[override]
        if len(self._known) < len(self._choices):
            return None
        return frozenset(kind for _, kinds in self._known for kind in kinds)

    def _of(self, kind: type) -> list[Shape]:
        return [choice for choice, kinds in self._known if kind in kinds]

    def difference(self, value: Any, read: Any) -> Difference | None:
        if choices := self._of(type(value)):
            if type(read) is not type(value):
                return becomes(value, read)
        elif self._takes_anything:
            return ANYTHING.difference(value, read)
        elif self.kinds is None and not any(isinstance(value, tuple(kinds)) for _, kinds in self._known):
            return unlike(value, read)
        else:
            choices = self._of(type(read))
        if len(choices) == 1:
            return choices[0].difference(value, read)
        fitting = [choice for choice in choices if choice.misfit(value) is None]
        if fitting and all(choice.difference(value, read) is None for choice in fitting):
            return None  # where a choice says Any, the value is the JSON that it becomes
        return unlike(value, read)

    def misfit(self, value: Any) -> str | None:
        if self.kinds is None:
            return None
        paths = [choice.misfit(value) for choice in self._of(type(value)) or self._choices]
        return None if None in paths else max((path or "" for path in paths), key=len)

    def shorten(self, value: Any, form: Json) -> None:
        choices = self._of(type(value))
        if len(choices) == 1:
            if isinstance(choices[0], Record):
                choices[0].shorten(value, form, constants=True)
            else:
                choices[0].shorten(value, form)

    def spelling(self, form: Json) -> int:
        return min((choice.spelling(form) for choice in self._choices), default=0)


class Checked(Shape):
    """What passes through the code of a validator, or of a type that pydantic makes of another."""

    def __init__(self, inner: Shape) -> None:
        self._inner = inner
        self.brief = inner.brief
        self._is_record = isinstance(inner, (Record, Root, Reference, Checked))

    @property
    def kinds(self) -> frozenset[type] | None:  # type: ignore[override]
        return self._inner.kinds if self._is_record else None

    def difference(self, value: Any, read: Any) -> Difference | None:
        if self._is_record or isinstance(self._inner, (Nullable, Union, Anything)):
            return self._inner.difference(value, read)
        kinds = self._inner.kinds
        if kinds and type(value) in kinds and type(read) in kinds:
            return self._inner.difference(value, read)
        if type(value) is type(read) and isinstance(value, (dict, deque)):
            if isinstance(value, deque) and value.maxlen != read.maxlen:
                return Difference("", f"its maxlen of {value.maxlen} would be lost")
            return self._inner.difference(value, read)
        return changed(value, read) if isinstance(value, type(read)) else unlike(value, read)

    def misfit(self, value: Any) -> str | None:
        return self._inner.misfit(value) if self._is_record else None

    def shorten(self, value: Any, form: Json) -> None:
        self._inner.shorten(value, form)

    def spelling(self, form: Json) -> int:
        return self._inner.spelling(form)
