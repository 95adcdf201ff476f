"""Values to JSON and back, by the annotations of the user's functions, through pydantic.

Whatever pydantic can validate and dump is carried: models, dataclasses, datetime, Decimal, UUID, Enum, bytes, generics
of these. Without an annotation a value is carried as the JSON that it becomes, and comes back as that. A value is
dumped by its annotation and not by its own type: what does not fit the annotation is an error and never a guess.

No value becomes another: what is written is read at once, and compared where pydantic cannot promise that it is the
same (see `shapes.py`). Fields are written by their names, and those of a model that were never set are not written.
What people write is read by names and by aliases (`parse`), and what was written here by names (`decode`), which are
not the same where one field has the name of another for its alias.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from typing import Any, Concatenate, ParamSpec, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from worldflow.engine.errors import FieldError, InvalidInputError, SerializationError
from worldflow.engine.here import running_loop
from worldflow.engine.history import Json, dump_value
from worldflow.engine.texts import is_text
from worldflow.engine.values.adapters import Adapter
from worldflow.engine.values.differences import Difference
from worldflow.engine.values.forms import Seen, items_are_form, parts_are_form
from worldflow.engine.values.shapes import ALIASES, NAMES

P = ParamSpec("P")
R = TypeVar("R")

_PLAIN = (int, str, bool, type(None))
_LARGE = 2**63
_ANY = (Any, dict, dict[str, Any], list, list[Any])


def _in_own_time(method: Callable[Concatenate[Codec, P], R]) -> Callable[Concatenate[Codec, P], R]:
    """What the method does is the engine's work, where a workflow waits for it: see `own_time.py`."""

    @functools.wraps(method)
    def counted(self: Codec, /, *args: P.args, **kwargs: P.kwargs) -> R:
        loop = running_loop()
        if loop is None:
            return method(self, *args, **kwargs)
        with loop.host.own_time:
            return method(self, *args, **kwargs)

    return counted


def check_text(text: str, path: str) -> None:
    """Raises `SerializationError` for text that UTF-8 cannot encode: lone surrogates, as in some file names."""
    if not is_text(text):
        raise SerializationError(f"{text!a} cannot be encoded as UTF-8", path)


class Codec:
    """Carries the values of one annotation. `where` names the place in error messages."""

    def __init__(self, annotation: Any, where: str) -> None:
        self.where = where
        self._annotation = annotation
        if annotation is not Any:
            self._adapter  # noqa: B018  # what cannot be carried is refused here
        self._plain = _PLAIN if annotation is Any else (annotation,) if annotation in _PLAIN else ()

    @cached_property
    def _item(self) -> Codec | None:
        """What carries the items of a list, where they are more than texts and numbers."""
        of = get_args(self._annotation) if get_origin(self._annotation) is list else ()
        return Codec(of[0], self.where) if of and of[0] not in _PLAIN and of[0] is not float else None

    @cached_property
    def _adapter(self) -> Adapter:
        return Adapter(self._annotation, self.where)

    def dump(self, value: Any) -> Json:
        """The JSON form of `value`, whether or not it would come back. Raises what pydantic raises."""
        return self._adapter.dump(value)

    def _is_plain(self, value: Any) -> bool:
        """Whether a value is its own JSON form, and fits: known without pydantic."""
        kind = type(value)
        if kind not in self._plain:
            return False
        return (kind is not str or value.isascii()) and (kind is not int or -_LARGE < value < _LARGE)

    def is_form(self, value: Any, form: Json, seen: Seen | None = None) -> bool:
        """Whether `form` is the JSON form of `value`. It was once encoded, so that it comes back.

        seen: items of lists that were found to be, and need not be looked at again.
        """
        if self._is_plain(value):
            return type(form) is type(value) and bool(form == value)
        return self._is_form(value, form, seen)

    @_in_own_time
    def _is_form(self, value: Any, form: Json, seen: Seen | None) -> bool:
        return (seen is not None and self._parts_are_form(value, form, seen)) or self._is_all_form(value, form)

    def _parts_are_form(self, value: Any, form: Json, seen: Seen) -> bool:
        """Whether `form` is the JSON form of `value`, where each part has a form of its own."""
        if self._annotation in _ANY:
            return parts_are_form(value, form, seen, ANYTHING._is_all_form)
        return self._item is not None and items_are_form(value, form, seen, self._item._is_all_form)

    def _is_all_form(self, value: Any, form: Json) -> bool:
        adapter = self._adapter
        try:
            ours = adapter.dump(value)
            if ours != form and adapter.shape.brief:  # former versions have written all fields
                adapter.shape.shorten(value, ours)
            return bool(ours == form)
        except Exception:
            return False

    def encode(self, value: Any) -> Json:
        """The JSON form of `value`.

        Raises `SerializationError` with the path to what does not fit or would come back as something else.
        """
        if self._is_plain(value):
            return value
        return self._encode(value)

    @_in_own_time
    def _encode(self, value: Any) -> Json:
        try:
            form = self._brief(value)
            found = self._difference(value, form)
            if found and self._adapter.shape.brief:
                form = self._adapter.dump(value)
                found = self._difference(value, form)
        except Exception as error:  # a type's own serializer or validator may raise anything
            path, reason = self._culprit(value) or ("", "")
            raise SerializationError(reason or _reason(error), self.where + path) from None
        if found:
            raise SerializationError(found.reason, self.where + found.path)
        return form

    def decode(self, value: Json) -> Any:
        """The value whose JSON form is `value`. Raises pydantic's `ValidationError`, or `SerializationError`."""
        return self._raising(self._read, value)

    def parse(self, value: Json) -> Any:
        """A value out of JSON that people have written, by the names of fields or by their aliases. Raises as `decode`
        does.
        """
        return self._raising(partial(self._given, self._adapter.read), value)

    def check(self, value: Json, what: str, name: str) -> None:
        """Raises `InvalidInputError`, with `what` does not fit, if `value` is not the JSON form of one of these."""
        try:
            self.parse(value)
        except ValidationError as error:
            raise InvalidInputError(what, field_errors(error, name)) from None
        except SerializationError as error:
            raise InvalidInputError(what, [FieldError(name, str(error))]) from None

    def validate(self, value: Any) -> Any:
        """A value of this annotation out of a Python value. Raises as `decode` does."""
        return self._raising(partial(self._given, self._adapter.validate), value)

    def _raising(self, read: Callable[[Any], Any], value: Any) -> Any:
        if self._is_plain(value):
            return value
        return self._reading(read, value)

    @_in_own_time
    def _reading(self, read: Callable[[Any], Any], value: Any) -> Any:
        try:
            return read(value)
        except ValidationError:
            raise
        except Exception as error:
            raise SerializationError(_reason(error), self.where) from None

    def _read(self, form: Json) -> Any:
        if not self._adapter.shape.ambiguous:
            return self._adapter.read(form)
        if not self._adapter.shape.spelling(form) & ALIASES:
            with contextlib.suppress(ValidationError):
                return self._adapter.read(form, by_alias=False)
        return self._given(self._adapter.read, form)

    def _given(self, read: Callable[..., Any], value: Any) -> Any:
        """What `read` makes of what people have written: by names, or by aliases, before it is by both."""
        if self._adapter.shape.ambiguous and (spelling := self._adapter.shape.spelling(value)) != NAMES | ALIASES:
            with contextlib.suppress(ValidationError):
                return read(value, by_alias=spelling != NAMES, by_name=spelling == NAMES)
        return read(value)

    def _brief(self, value: Any) -> Json:
        """The JSON form of `value` without the fields that were never set."""
        form = self._adapter.dump(value)
        if self._adapter.shape.brief:
            self._adapter.shape.shorten(value, form)
        return form

    def _difference(self, value: Any, form: Json) -> Difference | None:
        """What would not come back as it is."""
        try:
            back = self._read(form)
        except ValidationError as error:
            field = field_errors(error, "")[0]
            path = self._adapter.shape.misfit(value)
            return Difference(field.field if path is None else path, f"it could not be read back: {field.message}")
        shape = self._adapter.shape
        return None if shape.promised else shape.difference(value, back)

    def _culprit(self, value: Any) -> tuple[str, str] | None:
        """The path to what of `value` cannot be carried; and why, where that is its own fault and not its place's."""
        with contextlib.suppress(Exception):
            misfit = self._adapter.shape.misfit(value)
            return _innermost(value, "", ()) if misfit is None else (misfit, "")
        return None


ANYTHING = Codec(Any, "value")
"""Carries what JSON has."""


def _reason(error: Exception) -> str:
    text = " ".join(line.strip() for line in str(error).splitlines() if not line.startswith("Pydantic serializer"))
    return text.removeprefix("PydanticSerializationUnexpectedValue") or type(error).__name__


def _innermost(value: Any, path: str, inside: tuple[int, ...]) -> tuple[str, str] | None:
    if id(value) in inside:
        return path, "it contains itself"
    for name, part in _parts(value):
        if found := _innermost(part, path + name, (*inside, id(value))):
            return found
    try:
        dump_value(ANYTHING.dump(value))
    except (PydanticSerializationError, ValueError, TypeError) as error:
        return path, _reason(error)
    return None


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, BaseModel):
        yield from ((f".{name}", part) for name, part in value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from ((f".{field.name}", getattr(value, field.name)) for field in dataclasses.fields(value))
    elif isinstance(value, Mapping):
        yield from ((f"[{key!r}]", key) for key in value if isinstance(key, str) and not is_text(key))
        yield from ((f"[{key!r}]", part) for key, part in value.items())
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from ((f"[{index}]", part) for index, part in enumerate(value))


def explain(error: ValidationError, where: str) -> str:
    """What does not fit, and where, on one line and without the value itself."""
    return "; ".join(f"{field.field}: {field.message}" for field in field_errors(error, where))


def field_errors(error: ValidationError, prefix: str) -> list[FieldError]:
    return [
        FieldError(".".join([prefix, *map(str, detail["loc"])]), detail["msg"])
        for detail in error.errors(include_url=False, include_input=False, include_context=False)
    ]
