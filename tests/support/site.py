"""The documentation site, as `mkdocs.yml` describes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

CONFIGURATION = Path(__file__).parents[2] / "mkdocs.yml"


class _Loader(yaml.SafeLoader):
    """Without the objects of Python that the file names."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: None)


def navigation() -> list[Any]:
    return list(yaml.load(CONFIGURATION.read_text(), _Loader)["nav"])
