"""What all pages of the console have in common."""

from __future__ import annotations

import asyncio
import contextvars
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic_core import to_jsonable_python
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from worldflow.console import acting
from worldflow.console.markup import FILTERS
from worldflow.console.security import Tokens, read_form
from worldflow.engine.errors import (
    FieldError,
    HookNotFoundError,
    InvalidInputError,
    LimitNotFoundError,
    PayloadCodecError,
    RunNotFoundError,
    ScheduleNotFoundError,
    WorldflowError,
)
from worldflow.token_prices import load_prices
from worldflow.worlds.base import World

HERE = Path(__file__).parent
T = TypeVar("T")

_NOTICES = 200
_THREADS = ThreadPoolExecutor(64, "console")
"""More than asyncio's, which are six on a small machine: an update that is not answered holds one for seconds."""
_FORMS = 200

_STATUSES: Sequence[tuple[Any, int]] = (
    ((RunNotFoundError, HookNotFoundError, LimitNotFoundError, ScheduleNotFoundError), 404),
    (InvalidInputError, 422),
    (PayloadCodecError, 503),
)
_ABOUT_THE_REQUEST = (404, 422)


class Pages:
    """Pages of one World."""

    def __init__(self, world: World, *, read_only: bool, payloads: bool) -> None:
        self.world = world
        self.read_only = read_only
        self.payloads = payloads
        self._tokens = Tokens()
        self.prices = load_prices()
        self._notices: dict[str, str] = {}
        self._done: dict[tuple[Any, ...], asyncio.Task[acting.Done]] = {}
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self._templates.filters.update(FILTERS)

    async def asked(self, request: Request) -> acting.Asked:
        """The form of an action. Raises `InvalidInputError` for one that did not come from a page of this console."""
        given = await read_form(request)
        token = {name: values[0] for name, values in (given or {}).items() if values}
        if given is None or not self._tokens.is_valid(token):
            raise InvalidInputError("this form is from another console: load the page again, and repeat the action")
        if self.read_only:
            raise InvalidInputError("this console is read-only")
        return acting.Asked(given, token.get(".action_id") or uuid.uuid4().hex, self.payloads)

    async def once(self, asked: acting.Asked, action: Callable[..., acting.Done], *of: Any) -> acting.Done:
        """Does what a form asks for; for one that is sent again, nothing but say the same."""
        key = (asked.id, action.__name__, *of[1:])
        if (task := self._done.get(key)) is None:
            task = self._done[key] = asyncio.create_task(in_thread(action, *of, asked))
            if len(self._done) > _FORMS:
                del self._done[next(iter(self._done))]
        try:
            return await asyncio.shield(task)
        except Exception:
            self._done.pop(key, None)
            raise

    def redirect(self, request: Request, name: str, message: str, **params: Any) -> Response:
        notice = uuid.uuid4().hex
        self._notices[notice] = message
        if len(self._notices) > _NOTICES:
            del self._notices[next(iter(self._notices))]
        return RedirectResponse(f"{request.url_for(name, **params).path}?notice={notice}", 303)

    def page(self, request: Request, template: str, status: int = 200, **context: Any) -> Response:
        def link(name: str, **params: Any) -> str:
            return str(request.url_for(name, **params).path)

        text = self._templates.get_template(template).render(
            link=link,
            static=lambda path: link("static", path=path),
            path=request.url.path,
            token=self._tokens.token,
            new_id=lambda: uuid.uuid4().hex,
            notice=self._notices.get(request.query_params.get("notice", "")),
            read_only=self.read_only,
            payloads=self.payloads,
            now=self.world.now(),
            **context,
        )
        return HTMLResponse(text, status)

    async def failed(self, request: Request, error: Exception) -> Response:
        status = next((status for kinds, status in _STATUSES if isinstance(error, kinds)), 500)
        message = str(error) if self.payloads or status in _ABOUT_THE_REQUEST else type(error).__name__
        return self.page(request, "failed.html", status, message=message)


def number_of(request: Request, name: str) -> int:
    """A number of the address; 0 without. Raises `InvalidInputError`."""
    text = request.query_params.get(name, "0") or "0"
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise InvalidInputError(f"{text!r} is not the number of an event", [FieldError(name, "must be a number")])
    return int(text)


def errors_of(error: WorldflowError) -> list[FieldError]:
    """What was wrong with a form, by field."""
    if not isinstance(error, InvalidInputError):
        return [FieldError("", str(error))]
    return [FieldError(field, message) for field, message in error.details] or [FieldError("", error.summary)]


def jsonable(value: Any) -> Any:
    return to_jsonable_python(value, inf_nan_mode="strings")


async def in_thread(function: Callable[..., T], *args: Any) -> T:
    context = contextvars.copy_context()  # an application's trace
    return await asyncio.get_running_loop().run_in_executor(_THREADS, lambda: context.run(function, *args))
