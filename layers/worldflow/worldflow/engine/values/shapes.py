"""What the values of an annotation are made of, as far as JSON can change them on the way.

A shape is made of pydantic's own schema (see `schemas.py`), once for each annotation. It knows of which parts pydantic
can promise that they are read as they were written, and compares the others: `difference` says where what was read is
not what was written. Lossless conversions are none, such as an `int` given for a `float` or a tuple for a `Sequence`,
and so is what an annotation does not ask for, such as the type of what stands where it says `Any`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import cached_property
from typing import Any, NamedTuple

from pydantic import BaseModel

from worldflow.engine.history.base import Json
from worldflow.engine.texts import is_text
from worldflow.engine.values.differences import (
    Difference,
    becomes,
    changed,
    contents,
    equal,
    items_differ,
    keys_lost,
    lost_in_json,
    origin,
    short,
    unlike,
)

NAMES, ALIASES = 1, 2


class Shape:
    """A part of an annotation. This one is compared by type and equality."""

    promised = False
    """Whether pydantic reads it as it was written, so that it need not be compared."""
    kinds: frozenset[type] | None = None
    """The types that it is read as, where these are known."""
    by_equality = False
    """Whether a list of these may be compared as a whole."""
    brief = False
    """Whether there are fields in it that are not written where they were not set."""
    ambiguous = False
    """Whether there are fields anywhere in it whose aliases are the names of others."""

    def difference(self, value: Any, read: Any) -> Difference | None:
        """Where `read` is not `value`."""
        return unlike(value, read)

    def misfit(self, value: Any) -> str | None:
        """The path to the innermost part of a value that is of a wrong type, where one is."""
        return None

    def shorten(self, value: Any, form: Json) -> None:
        """Takes out of the JSON form of `value` the fields that were never set."""

    def spelling(self, form: Json) -> int:
        """Whether fields in JSON have their names (`NAMES`), their aliases (`ALIASES`), or some these and some those; 0
        where all keys are both.
        """
        return 0


class Leaf(Shape):
    def __init__(self, *kinds: type, promised: bool = False, by_equality: bool = False) -> None:
        self.kinds = frozenset(kinds)
        self.promised = promised
        self.by_equality = by_equality
        self._given = (*kinds, int) if float in kinds else kinds

    def difference(self, value: Any, read: Any) -> Difference | None:
        if self.by_equality and type(value) is type(read) and value == read:
            return None
        return changed(value, read)

    def misfit(self, value: Any) -> str | None:
        return None if isinstance(value, self._given) else ""


class Anything(Shape):
    """Where a value is the JSON that it becomes."""

    def difference(self, value: Any, read: Any) -> Difference | None:
        if read is None and value is not None:
            return becomes(value, read)  # a number that JSON does not have, inside a model
        return None if equal(value, read) else lost_in_json(value, read)


ANYTHING = Anything()


class Nullable(Shape):
    def __init__(self, inner: Shape) -> None:
        self._inner = inner
        self.promised = inner.promised
        self.brief = inner.brief

    @property
    def kinds(self) -> frozenset[type] | None:  # type: ignore[override]
        return None if self._inner.kinds is None else self._inner.kinds | {type(None)}

    def difference(self, value: Any, read: Any) -> Difference | None:
        if value is None or read is None:
            return None if value is read else becomes(value, read)
        return self._inner.difference(value, read)

    def misfit(self, value: Any) -> str | None:
        return None if value is None else self._inner.misfit(value)

    def shorten(self, value: Any, form: Json) -> None:
        if value is not None:
            self._inner.shorten(value, form)

    def spelling(self, form: Json) -> int:
        return 0 if form is None else self._inner.spelling(form)


class Items(Shape):
    """A list, a set, or a tuple of any length."""

    def __init__(self, kind: type, item: Shape, *, lazy: bool = False) -> None:
        self._item = item
        self._lazy = lazy
        self.kinds = frozenset({kind})
        self.promised = item.promised and not lazy
        self.brief = item.brief

    def difference(self, value: Any, read: Any) -> Difference | None:
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            return becomes(value, read)
        if self._lazy:
            if not isinstance(read, list):
                return Difference(
                    "", "it would come back as an iterator that can be read only once: annotate it as a list"
                )
            if isinstance(value, Iterator):
                return None  # it was read when it was written
        if isinstance(value, Set) != isinstance(read, Set):
            return becomes(value, read)
        if self._item.promised or (self._item.by_equality and value == read):
            return None
        return items_differ(value, read, self._item.difference)

    def misfit(self, value: Any) -> str | None:
        if not isinstance(value, Iterable) or isinstance(value, (str, bytes, Mapping)):
            return ""
        if isinstance(value, Iterator):
            return None
        return _first_misfit((f"[{index}]", self._item, part) for index, part in enumerate(value))

    def shorten(self, value: Any, form: Json) -> None:
        if isinstance(value, (list, tuple, set, frozenset, deque)):
            for part, written in zip(value, form, strict=False):
                self._item.shorten(part, written)

    def spelling(self, form: Json) -> int:
        return _together(map(self._item.spelling, form)) if isinstance(form, list) else 0


class Tuple(Shape):
    """A tuple whose items have shapes of their own; perhaps a named one."""

    def __init__(self, kind: type, items: Sequence[Shape], variadic: int | None = None) -> None:
        self._kind = kind
        self._items = items
        self._variadic = variadic
        self.kinds = frozenset({kind})
        self.promised = kind is tuple and all(item.promised for item in items)
        self.brief = any(item.brief for item in items)

    def _shapes(self, length: int) -> Sequence[Shape]:
        if self._variadic is None:
            return self._items
        at = self._variadic
        return [
            *self._items[:at],
            *[self._items[at]] * (length - len(self._items) + 1),
            *self._items[at + 1 :],
        ]

    def difference(self, value: Any, read: Any) -> Difference | None:
        if not isinstance(value, tuple) or not isinstance(value, self._kind) or len(value) != len(read):
            return becomes(value, read)
        parts = zip(self._shapes(len(value)), value, read, strict=False)
        for index, (shape, part, back) in enumerate(parts):
            if found := shape.difference(part, back):
                return found.within(f"[{index}]")
        return None

    def misfit(self, value: Any) -> str | None:
        if not isinstance(value, tuple):
            return ""
        shapes = self._shapes(len(value))
        return _first_misfit(
            (f"[{index}]", shape, part) for index, (shape, part) in enumerate(zip(shapes, value, strict=False))
        )

    def shorten(self, value: Any, form: Json) -> None:
        if isinstance(value, tuple):
            for shape, part, written in zip(self._shapes(len(value)), value, form, strict=False):
                shape.shorten(part, written)

    def spelling(self, form: Json) -> int:
        if not isinstance(form, list):
            return 0
        shapes = self._shapes(len(form))
        return _together(shape.spelling(part) for shape, part in zip(shapes, form, strict=False))


class Dict(Shape):
    def __init__(self, keys: Shape, values: Shape) -> None:
        self._keys = keys
        self._values = values
        self.kinds = frozenset({dict})
        self.brief = values.brief

    def difference(self, value: Any, read: Any) -> Difference | None:
        if not isinstance(value, Mapping):
            return becomes(value, read)
        if isinstance(self._keys, Anything):
            if found := keys_lost(value, read):
                return found
        elif len(value) != len(read) or value.keys() != read.keys() or not self._keys.promised:
            for key in value:
                if isinstance(key, str) and not is_text(key):
                    return Difference(f"[{key!r}]", "this key cannot be encoded as UTF-8")
            if len(value) != len(read):
                return Difference("", "two of its keys are one in JSON")
            for key, back in zip(value, read, strict=True):
                if found := self._keys.difference(key, back):
                    return Difference("", f"its key {short(key)}: {found.reason}")
        if self._values.promised:
            return None
        for (key, part), back in zip(value.items(), read.values(), strict=True):
            if found := self._values.difference(part, back):
                return found.within(f"[{key!r}]")
        return None

    def misfit(self, value: Any) -> str | None:
        if not isinstance(value, Mapping):
            return ""
        if any(self._keys.misfit(key) is not None for key in value):
            return ""
        return _first_misfit((f"[{key!r}]", self._values, part) for key, part in value.items())

    def shorten(self, value: Any, form: Json) -> None:
        if isinstance(value, Mapping) and len(value) == len(form):
            for part, written in zip(value.values(), form.values(), strict=True):
                self._values.shorten(part, written)

    def spelling(self, form: Json) -> int:
        return _together(map(self._values.spelling, form.values())) if isinstance(form, dict) else 0


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
        return _first_misfit(
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
        return own | _together(
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
        return _first_misfit([(".root", self._inner, contents(value)["root"])])  # type: ignore[index]

    def shorten(self, value: Any, form: Json) -> None:
        if isinstance(value, self._kind):
            self._inner.shorten(contents(value)["root"], form)  # type: ignore[index]

    def spelling(self, form: Json) -> int:
        return self._inner.spelling(form)


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


class Reference(Shape):
    """A shape that is made elsewhere, and perhaps stands within itself."""

    brief = True
    _found: Shape

    def resolve(self, found: Shape) -> None:
        self._found = found

    @property
    def kinds(self) -> frozenset[type] | None:  # type: ignore[override]
        return self._found.kinds

    def difference(self, value: Any, read: Any) -> Difference | None:
        return self._found.difference(value, read)

    def misfit(self, value: Any) -> str | None:
        return self._found.misfit(value)

    def shorten(self, value: Any, form: Json) -> None:
        self._found.shorten(value, form)

    def spelling(self, form: Json) -> int:
        return self._found.spelling(form)


def _together(spellings: Iterable[int]) -> int:
    found = 0
    for spelling in spellings:
        found |= spelling
    return found


def _first_misfit(parts: Iterable[tuple[str, Shape, Any]]) -> str | None:
    for path, shape, part in parts:
        if (found := shape.misfit(part)) is not None:
            return path + found
    return None
