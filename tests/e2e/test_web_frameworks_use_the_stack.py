"""The applications in examples/ with FastAPI, Flask and Django, which start and signal the runs of the stack."""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest

from tests.examples.servers import FRAMEWORKS, ROOT, Page, serving

LINE = {"sku": "SCREEN", "quantity": 3, "unit_price": "400.00"}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_an_order_is_placed_and_refused(framework: str, application: dict[str, str]) -> None:
    if not find_spec(framework):
        pytest.skip(f"{framework} is not installed")
    path = os.pathsep.join(map(str, (ROOT / "layers/worldflow", ROOT / "layers/workflows")))
    order = {"order_id": framework, "customer": "Ada", "card": "visa", "lines": [LINE]}
    with serving(Page(framework).command, {**application, "PYTHONPATH": path}) as shop:
        assert shop.call("POST", "/orders", order).status == 201
        refusal = {"approved": False, "by": "Grace"}
        assert shop.call("POST", f"/orders/{framework}/approval", refusal).status == 202
        failed = f"run 'order-{framework}' failed: ApprovalRefused: Grace refused order {framework}"
        assert shop.call("GET", f"/orders/{framework}/shipment") == (409, {"error": failed})
