"""What the values of an annotation are made of, as far as JSON can change them on the way.

A shape is made of pydantic's own schema (see `schemas.py`), once for each annotation. It knows of which parts pydantic
can promise that they are read as they were written, and compares the others: `difference` says where what was read is
not what was written. Lossless conversions are none, such as an `int` given for a `float` or a tuple for a `Sequence`,
and so is what an annotation does not ask for, such as the type of what stands where it says `Any`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

from worldflow.engine.history.base import Json
from worldflow.engine.texts import is_text
from worldflow.engine.values.differences import (
    Difference,
    becomes,
    changed,
    equal,
    items_differ,
    keys_lost,
    lost_in_json,
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
        return first_misfit((f"[{index}]", self._item, part) for index, part in enumerate(value))

    def shorten(self, value: Any, form: Json) -> None:
        if isinstance(value, (list, tuple, set, frozenset, deque)):
            for part, written in zip(value, form, strict=False):
                self._item.shorten(part, written)

    def spelling(self, form: Json) -> int:
        return together(map(self._item.spelling, form)) if isinstance(form, list) else 0


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
        return first_misfit(
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
        return together(shape.spelling(part) for shape, part in zip(shapes, form, strict=False))


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
        return first_misfit((f"[{key!r}]", self._values, part) for key, part in value.items())

    def shorten(self, value: Any, form: Json) -> None:
        if isinstance(value, Mapping) and len(value) == len(form):
            for part, written in zip(value.values(), form.values(), strict=True):
                self._values.shorten(part, written)

    def spelling(self, form: Json) -> int:
        return together(map(self._values.spelling, form.values())) if isinstance(form, dict) else 0


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


def together(spellings: Iterable[int]) -> int:
    found = 0
    for spelling in spellings:
        found |= spelling
    return found


def first_misfit(parts: Iterable[tuple[str, Shape, Any]]) -> str | None:
    for path, shape, part in parts:
        if (found := shape.misfit(part)) is not None:
            return path + found
    return None
