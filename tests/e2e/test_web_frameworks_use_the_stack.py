"""The applications in examples/ with FastAPI, Flask and Django, which start and signal the runs of the stack.

They have `StartPolicy`, and no other right.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from tests.examples.servers import FRAMEWORKS, ROOT, Page, serving
from worldflow.devtools.stack import Stack

LINE = {"sku": "SCREEN", "quantity": 3, "unit_price": "400.00"}


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[dict[str, str]]:
    """The environment of an application that has a role with the policy."""
    iam, sts, name, policy = stack.aws.client("iam"), stack.aws.client("sts"), "shop", stack.outputs["StartPolicyArn"]
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": sts.get_caller_identity()["Account"]}}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))["Role"]["Arn"]
    iam.attach_role_policy(RoleName=name, PolicyArn=policy)
    given = sts.assume_role(RoleArn=role, RoleSessionName=name)["Credentials"]
    path = os.pathsep.join(map(str, (ROOT / "layers/worldflow", ROOT / "layers/workflows")))
    yield {
        **os.environ,
        **stack.environment,
        "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
        "AWS_SESSION_TOKEN": given["SessionToken"],
        "PYTHONPATH": path,
    }
    iam.detach_role_policy(RoleName=name, PolicyArn=policy)
    iam.delete_role(RoleName=name)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_an_order_is_placed_and_refused(framework: str, shop: dict[str, str]) -> None:
    if not find_spec(framework):
        pytest.skip(f"{framework} is not installed")
    order = {"order_id": framework, "customer": "Ada", "card": "visa", "lines": [LINE]}
    with serving(Page(framework).command, shop) as server:
        assert server.call("POST", "/orders", order).status == 201
        refusal = {"approved": False, "by": "Grace"}
        assert server.call("POST", f"/orders/{framework}/approval", refusal).status == 202
        failed = f"run 'order-{framework}' failed: ApprovalRefused: Grace refused order {framework}"
        assert server.call("GET", f"/orders/{framework}/shipment") == (409, {"error": failed})
