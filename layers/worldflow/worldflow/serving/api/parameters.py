"""The parameters and inputs of requests.

DynamoDB has limits for keys and numbers, and fails beyond them: so do these types, with an error that names the field.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from pydantic import AwareDatetime

from worldflow import InvalidInputError
from worldflow.engine.errors import FieldError
from worldflow.engine.history import Attribute
from worldflow.engine.workflow.definitions import Workflow

Id = Annotated[str, Path(max_length=300)]
"""A run, a schedule, a hook's token, or the name of what is asked of a run."""

Cursor = Annotated[str | None, Query(max_length=300, pattern="^[ -~]*$")]

Moment = Annotated[AwareDatetime | None, Query()]
"""A time with its offset from UTC."""

Part = Annotated[str | None, Query(max_length=300)]
"""A run's id or a part of it, or of a text."""

Limit = Annotated[int, Query(ge=1, le=200)]
"""How long a list may be."""

ATTRIBUTE = "attribute."
MOST_ATTRIBUTES = 10


@contextmanager
def fields_of(part: str) -> Iterator[None]:
    """Says of what does not fit in which part of the request it is."""
    try:
        yield
    except InvalidInputError as error:
        fields = [FieldError(f"{part}.{field.field}", field.message) for field in error.fields]
        raise InvalidInputError(error.summary, fields) from None


def read_input(workflow: Workflow[..., Any], input: dict[str, Any]) -> dict[str, Any]:
    with fields_of("input"):
        return workflow.signature.parse(input)


def read_arguments(text: str | None) -> dict[str, Any]:
    """The arguments of a query, by name: `args={"currency": "EUR"}`."""
    if text is None:
        return {}
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        rule = "must be a JSON object of arguments by name"
        raise InvalidInputError(f"the arguments of a query {rule}", [FieldError("args", rule)])
    return given


def read_attributes(query: dict[str, str]) -> dict[str, Attribute]:
    """The attributes of a list's query: `attribute.customer=c1`."""
    given = {name.removeprefix(ATTRIBUTE): text for name, text in query.items() if name.startswith(ATTRIBUTE)}
    if "" in given or len(given) > MOST_ATTRIBUTES:
        rule = f"up to {MOST_ATTRIBUTES} attributes, each with a name"
        raise InvalidInputError(f"a list can be filtered by {rule}", [FieldError("attribute", f"must be {rule}")])
    return {name: read_attribute(text) for name, text in given.items()}


def read_attribute(text: str) -> Attribute:
    """A number, a bool or a quoted text as JSON has them; else the text itself."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, str | int | float) else text


def caller_of(router: APIGatewayHttpRouter) -> str | None:
    """The identity that API Gateway has found the caller to have."""
    context = router.current_event.raw_event.get("requestContext") or {}
    authorizer = context.get("authorizer") or {}
    found = (authorizer.get("iam") or {}).get("userArn") or (authorizer.get("jwt") or {}).get("claims", {}).get("sub")
    return found if isinstance(found, str) else None
