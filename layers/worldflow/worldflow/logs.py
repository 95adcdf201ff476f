"""What logs may hold, as the environment says, and what they say of errors of AWS.

See `engine/privacy.py`, which asks.
"""

from __future__ import annotations

import os
from typing import Any

from worldflow.engine.privacy import set_rules


def setting() -> bool | None:
    """What `WORLDFLOW_LOG_PAYLOADS` says, if it is set."""
    said = os.environ.get("WORLDFLOW_LOG_PAYLOADS", "").lower()
    return said in ("true", "1") if said else None


def refusal(error: Any) -> str | None:
    """Of an error of AWS: which request was refused, and as what."""
    # By name, as most processes have no botocore to import.
    if any((cls.__module__, cls.__name__) == ("botocore.exceptions", "ClientError") for cls in type(error).__mro__):
        return f"{error.response.get('Error', {}).get('Code')} for {error.operation_name}"
    return None


set_rules(setting, refusal)
