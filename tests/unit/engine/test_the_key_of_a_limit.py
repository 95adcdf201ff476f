"""A limit's key is made of the arguments of a call, in the order of the parameters."""

from __future__ import annotations

from typing import Any

import pytest

from worldflow import Limit
from worldflow.engine.values.signatures import Signature


def mails(tenant: str, count: int = 1, *, urgent: bool = False) -> None: ...


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [(["acme"], {}), ([], {"tenant": "acme"}), (["acme", 2], {}), ([], {"urgent": True, "tenant": "acme"})],
)
def test_a_parameter_with_a_default_keeps_its_place(args: list[Any], kwargs: dict[str, Any]) -> None:
    limit = Limit("mails", concurrency=1, key=lambda tenant: tenant)
    signature = Signature(mails, "mails")

    assert limit.place(signature, signature.bind(*args, **kwargs)).key == "acme"
