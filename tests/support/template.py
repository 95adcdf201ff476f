"""The template as a document: its parameters and routes, without what CloudFormation's functions come to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """Reads `!Ref` and the like as nothing."""


_Loader.add_multi_constructor("!", lambda *_: None)

TEMPLATE: dict[str, Any] = yaml.load((Path(__file__).parents[2] / "template.yaml").read_text(), _Loader)


def api_routes() -> list[tuple[str, str]]:
    """The method and path of each route of the API."""
    events = TEMPLATE["Resources"]["SignalFunction"]["Properties"]["Events"].values()
    return [(event["Properties"]["Method"], event["Properties"]["Path"]) for event in events]


def routes() -> list[tuple[str, str]]:
    """Those, and the public ones."""
    keys = [TEMPLATE["Resources"][id]["Properties"]["RouteKey"] for id in ("WebhookRoute", "StreamRoute")]
    return [*api_routes(), *((method, path) for method, path in map(str.split, keys))]
