"""What parameters of requests may be at all: DynamoDB has limits for keys and numbers, and fails of what is beyond."""

from __future__ import annotations

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Path, Query

Id = Annotated[str, Path(max_length=300)]
"""A run, a schedule, a hook's token, or the name of what is asked of a run."""

Cursor = Annotated[str | None, Query(max_length=300, pattern="^[ -~]*$")]

Limit = Annotated[int, Query(ge=1, le=200)]
"""How long a list may be."""
