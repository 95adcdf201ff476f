"""What the command lines share: where they write, and how they fail."""

from __future__ import annotations

import sys
from typing import Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from worldflow.engine.errors import InvalidInputError, WorldflowError
from worldflow.settings import NO_REGION

WIDTH_OF_FILES = 160
"""Columns of a table that goes to a file or a pipe, which has no width of its own."""


def console(*, stderr: bool = False) -> Console:
    """The terminal, or whatever stands in its place now."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, highlight=False, markup=False, width=None if stream.isatty() else WIDTH_OF_FILES)


class Commands(TyperGroup):
    """Commands that fail with one line on stderr: the user can fix these errors, and a traceback would not help."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")  # which pydantic puts before typer's words
            raise
        except Exception as error:
            if not is_explained(error):
                raise
            message = describe_error(error)
        typer.echo(f"Error: {' '.join(message.split())}", err=True)
        raise typer.Exit(1)


def is_explained(error: Exception) -> bool:
    """Whether the message of an error says all that there is to say."""
    return isinstance(error, WorldflowError) or _is_from_aws(error)


def describe_error(error: Exception) -> str:
    """An error in one line."""
    if isinstance(error, InvalidInputError) and str(error) != error.summary:
        details = [f"{field.field}: {field.message}" for field in error.fields if field.message not in error.summary]
        return ": ".join([error.summary, "; ".join(details)]) if details else error.summary
    return _about_aws(error) or str(error)


def _about_aws(error: Exception) -> str | None:
    """What AWS, or the way to it, refuses, and what to do."""
    try:
        from botocore import exceptions as aws
    except ModuleNotFoundError:
        return None
    if isinstance(error, aws.NoRegionError):
        return NO_REGION
    if isinstance(error, (aws.NoCredentialsError, aws.PartialCredentialsError)):
        return "there are no AWS credentials: log in with `aws sso login` or `aws configure`, or set AWS_PROFILE"
    if isinstance(error, aws.ClientError):
        details = error.response["Error"]
        code, message = details.get("Code", ""), details.get("Message", "")
        advice = ": log in again, since the credentials have expired or are invalid" if code in _NOT_LET_IN else ""
        return f"AWS refused {error.operation_name} with {code}: {message.rstrip('.')}{advice}"
    return None


_NOT_LET_IN = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)


def _is_from_aws(error: Exception) -> bool:
    """Whether AWS, the way to it or the credentials for it are at fault. A laptop may have no boto3."""
    try:
        from botocore.exceptions import BotoCoreError, ClientError
    except ModuleNotFoundError:
        return False
    return isinstance(error, (BotoCoreError, ClientError))


def application(name: str, help: str, *, completion: bool = False) -> typer.Typer:
    """A command line without commands. `completion` adds the options that set up a shell's completion."""
    return typer.Typer(
        name=name,
        help=help,
        cls=Commands,
        no_args_is_help=True,
        add_completion=completion,
        pretty_exceptions_enable=False,
    )
