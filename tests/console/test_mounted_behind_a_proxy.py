"""The console inside an application that a proxy serves under a prefix, which it strips or leaves."""

from __future__ import annotations

import re
import warnings

import pytest
from fastapi import FastAPI

from tests.support.asgi import AsgiApi
from tests.support.systems import System, start
from worldflow import wait_for_signal, workflow
from worldflow.console import console

HOST = "shop.example"


@workflow
async def console_proxied() -> None:
    await wait_for_signal("go")


@pytest.fixture
def application(system: System) -> AsgiApi:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # FastAPI would rather have the server's option, and takes this one
        app = FastAPI(root_path="/shop")
    app.mount("/worldflow", console(system.world))
    start(system, "proxied", console_proxied)
    return AsgiApi(app, headers={"Host": HOST})


@pytest.mark.parametrize("prefix", ["", "/shop"], ids=["stripped", "left"])
@pytest.mark.parametrize("path", ["/", "/health", "/runs/proxied", "/runs/proxied/history", "/static/console.css"])
def test_a_page_is_found(application: AsgiApi, prefix: str, path: str) -> None:
    assert application.get(f"{prefix}/worldflow{path}").status == 200


@pytest.mark.parametrize("prefix", ["", "/shop"], ids=["stripped", "left"])
def test_what_a_page_leads_to_has_the_prefix(application: AsgiApi, prefix: str) -> None:
    page = application.get(f"{prefix}/worldflow/runs/proxied").text
    found = re.findall(r'(?:href|src|action|hx-get|sse-connect)="(/[^"]*)"', page)
    assert len(found) > 10
    assert all(link.startswith("/shop/worldflow/") for link in found)


def test_an_action_leads_back_to_the_run(application: AsgiApi, system: System) -> None:
    page = application.get("/worldflow/runs/proxied").text
    (token,) = set(re.findall(r'name=".token" value="([^"]+)"', page))
    form = f".token={token}&.name=go&value=1"
    answer = application.post("/worldflow/runs/proxied/signal", form, headers={"Origin": f"https://{HOST}"})
    assert answer.status == 303
    assert answer.headers["Location"].startswith("/shop/worldflow/runs/proxied?notice=")
    system.settle()
    assert system.world.read_run("proxied").status == "completed"
