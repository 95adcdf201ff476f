"""The properties of each resource, by its id in the template.

They are defined in the template alone. `make aws-setup` copies them, with the parameters at their defaults, into
resources.json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

Properties = Mapping[str, Any]

_REFERENCE = re.compile(r"\$\{([\w:.]+)\}")


def definitions(references: Mapping[str, str]) -> dict[str, Properties]:
    """The properties of each resource.

    references: the values of `Id`, a name, of `Id.Arn` and of `AWS::AccountId`.
    """
    text = files("worldflow.aws_setup").joinpath("resources.json").read_text(encoding="utf-8")
    resolved = _REFERENCE.sub(lambda match: json.dumps(references[match[1]])[1:-1], text)
    properties: dict[str, Properties] = json.loads(resolved)
    return properties
