"""The page about the console: its options are those of the command, and its code mounts one."""

from __future__ import annotations

import re
from typing import Any

import pytest
from fastapi import FastAPI
from typer.main import get_command

from tests.docs.pages import PROJECT
from tests.support.asgi import AsgiApi
from tools.screenshots import PAGES, SCHEMES
from worldflow.cli import app as commands
from worldflow.console import console
from worldflow.worlds import LocalWorld

pytestmark = pytest.mark.one_python

PAGE = "docs/guide/console.md"


def test_the_table_has_the_options_of_the_command() -> None:
    told = set(re.findall(r"^\| `(--[a-z-]+)", (PROJECT / PAGE).read_text(), re.MULTILINE))
    command: Any = getattr(get_command(commands), "commands")["ui"]  # noqa: B009  the type is click's own
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert told <= options
    assert {"--read-only", "--no-payloads", "--port", "--workflows"} <= told


def test_the_page_shows_each_page_in_light_and_in_dark() -> None:
    shown = set(re.findall(r"\(\.\./pictures/(console-[a-z-]+\.png)\)", (PROJECT / PAGE).read_text()))
    assert shown == {f"console-{name}-{scheme}.png" for name in PAGES for scheme in SCHEMES}


class AWSWorld(LocalWorld):
    """In place of the stack that the page's application uses."""

    def __init__(self) -> None:
        super().__init__(":memory:")


def test_an_application_has_a_console() -> None:
    app = FastAPI()
    world = AWSWorld()
    app.mount("/worldflow", console(world))
    page = AsgiApi(app, headers={"Host": "shop.example"}).get("/worldflow/")
    assert page.status == 200
    assert 'href="/worldflow/static/console.css"' in page.text and 'href="/worldflow/schedules"' in page.text
    world.close()
