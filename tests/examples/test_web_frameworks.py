"""The applications in examples/ with FastAPI, Flask and Django, behind the servers that people use."""

from __future__ import annotations

import re
import signal
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.examples.servers import FRAMEWORKS, ROOT, Page, Server, serving
from tests.support import clock


def take_orders(shop: Server, page: Page) -> None:
    shipped, printed = page.shipment(shop)
    assert shipped == printed
    assert shop.call("GET", "/orders/1001") == (200, {"order_id": "1001", "status": "completed"})


def refuse_orders(shop: Server) -> None:
    line = {"sku": "SCREEN", "quantity": 3, "unit_price": "400.00"}
    order = {"order_id": "1002", "customer": "Ada", "card": "visa", "lines": [line]}
    for _ in range(2):  # the second one changes nothing
        placed = shop.call("POST", "/orders", order)
        assert (placed.status, placed.body["status"] in ("pending", "running")) == (201, True), placed
    refusal = {"approved": False, "by": "Grace"}
    assert shop.call("POST", "/orders/1002/approval", refusal).status == 202
    failed = "run 'order-1002' failed: ApprovalRefused: Grace refused order 1002"
    assert shop.call("GET", "/orders/1002/shipment") == (409, {"error": failed})
    assert shop.call("POST", "/orders/1002/approval", refusal).status == 409
    assert shop.call("GET", "/orders/none").status == 404
    assert shop.call("POST", "/orders", {"order_id": "1003"}).status == 422


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_orders_over_http(framework: str, tmp_path: Path) -> None:
    if not find_spec(framework):
        pytest.skip(f"{framework} is not installed")
    environment = clock.environment(ROOT / "layers/workflows", WORLDFLOW_LOCAL=str(tmp_path / "orders.db"))
    page = Page(framework)
    with serving(page.command, environment) as shop:
        refuse_orders(shop)
        take_orders(shop, page)
        code, log = shop.stop()
        # Uvicorn ends by the signal, when it has shut the application down.
        assert (code in (0, -signal.SIGTERM), "Traceback" in log) == (True, False), log


def test_the_page_shows_the_code_of_the_examples() -> None:
    page = (ROOT / "docs/hosting/frameworks.md").read_text()
    sources = "".join((ROOT / f"examples/{framework}/app.py").read_text() for framework in FRAMEWORKS)
    shown = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert [code for code in shown if not any(textwrap.indent(code, " " * n) in sources for n in (0, 4))] == []
