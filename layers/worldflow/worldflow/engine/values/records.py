"""The shapes of what has fields: models, dataclasses, and dicts of certain keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel

from worldflow.engine.history.base import Json
from worldflow.engine.values.differences import Difference, becomes, contents, equal, origin
from worldflow.engine.values.shapes import ALIASES, ANYTHING, NAMES, Shape, first_misfit, together

NOTHING: Any = object()


class Field(NamedTuple):
    name: str
    shape: Shape
    default: Any
    """What a reader takes it to be where it is not written; `NOTHING` where that cannot be said."""
    is_constant: bool
    aliases: tuple[str, ...] = ()
    """The keys by which it may be read, other than its name."""


class Record(Shape):
    """A model, a dataclass, or a dict of certain keys."""

    def __init__(self, kind: type, fields: Sequence[Field], *, extra: bool, knows_what_is_set: bool) -> None:
        """
        extra: whether it takes fields that are not among `fields`.
        knows_what_is_set: whether a value knows which of its fields were set.
        """
        self.kinds = frozenset({dict if kind is dict else kind})
        self._kind = kind
        self._is_model = issubclass(kind, BaseModel)
        self._fields = fields
        self._names = frozenset(field.name for field in fields)
        self._compared = [(field.name, field.shape) for field in fields if not field.shape.promised]
        aliases = frozenset(alias for field in fields for alias in field.aliases)
        self._only_aliases, self._only_names = aliases - self._names, self._names - aliases
        self._unwritten = [field for field in fields if knows_what_is_set and field.default is not NOTHING]
        self._shortened = [(field.name, field.shape) for field in fields if field.shape.brief]
        self.brief = bool(self._unwritten or self._shortened)
        self.ambiguous = bool(aliases and (extra or aliases & self._names))

    def difference(self, value: Any, read: Any) -> Difference | None:
        if self._kind is not dict and type(value) is not type(read) and origin(value) is not origin(read):
            return becomes(value, read)
        if self._is_model:
            written, back = value.__dict__, read.__dict__
        else:
            written, back = contents(value), contents(read)
        if lost := (self._names & written.keys()) ^ (self._names & back.keys()):
            return Difference("", f"its {min(lost)!r} would {'' if min(lost) in written else 'not '}be lost")
        for name, shape in self._compared:
            if name in written and (found := shape.difference(written[name], back[name])):
                return found.within(self._path(name))
        return self._extra_lost(value, read)

    def _path(self, name: str) -> str:
        return f"[{name!r}]" if self._kind is dict else f".{name}"

    def _extra_lost(self, value: Any, read: Any) -> Difference | None:
        if self._is_model:
            more, back = value.__pydantic_extra__, read.__pydantic_extra__
        elif self._kind is dict:
            more, back = ({name: v[name] for name in v if name not in self._names} for v in (value, read))
        else:
            return None
        return ANYTHING.difference(more, back or {}) if more else None

    def misfit(self, value: Any) -> str | None:
        if not isinstance(value, self._kind):
            return ""
        inside = contents(value) or {}
        return first_misfit(
            (self._path(field.name), field.shape, inside[field.name]) for field in self._fields if field.name in inside
        )

    def shorten(self, value: Any, form: Json, *, constants: bool = False) -> None:
        """
        constants: whether fields that tell this model from others are written all the same.
        """
        if not isinstance(form, dict) or not (type(value) is self._kind or isinstance(value, self._kind)):
            return
        inside = value.__dict__ if self._is_model else contents(value) or {}
        if self._unwritten:
            unset = self._names - value.__pydantic_fields_set__  # type: ignore[attr-defined]
            for name, _, default, is_constant, _ in self._unwritten if unset else ():
                if name in unset and name in form and not (constants and is_constant):
                    given = inside.get(name, NOTHING)
                    if type(given) is type(default) and equal(given, default):
                        del form[name]
        for name, shape in self._shortened:
            if name in form and name in inside:
                shape.shorten(inside[name], form[name])

    def spelling(self, form: Json) -> int:
        if not isinstance(form, dict):
            return 0
        own = (NAMES if self._only_names & form.keys() else 0) | (ALIASES if self._only_aliases & form.keys() else 0)
        return own | together(
            field.shape.spelling(form[key])
            for field in self._fields
            for key in (field.name, *field.aliases)
            if key in form
        )


class Root(Shape):
    """A model that is one value."""

    def __init__(self, kind: type, inner: Shape) -> None:
        self.kinds = frozenset({kind})
        self._kind = kind
        self._inner = inner
        self.brief = inner.brief

    def difference(self, value: Any, read: Any) -> Difference | None:
        if type(value) is not type(read) and origin(value) is not origin(read):
            return becomes(value, read)
        found = self._inner.difference(value.root, read.root)
        return found and found.within(".root")

    def misfit(self, value: Any) -> str | None:
        if not isinstance(value, self._kind):
            return ""
        return first_misfit([(".root", self._inner, contents(value)["root"])])  # type: ignore[index]

    def shorten(self, value: Any, form: Json) -> None:
        if isinstance(value, self._kind):
            self._inner.shorten(contents(value)["root"], form)  # type: ignore[index]

    def spelling(self, form: Json) -> int:
        return self._inner.spelling(form)
