"""Tokens of an agent's model requests."""

from __future__ import annotations

from pydantic_ai.messages import ModelResponse

import worldflow

MODEL_LIMIT = 200
"""Characters of a model's name. That of a fallback names all of its models."""

_CACHE = {
    "cache_read_tokens": "cache_read_input_tokens",
    "cache_write_tokens": "cache_creation_input_tokens",
}
"""What Pydantic AI counts, and the name that OpenTelemetry has for it."""


def record(response: ModelResponse, default: str) -> None:
    """Records the tokens of a response with the step that made the request.

    default: the model's name, if the response does not say.
    """
    usage = response.usage
    other = {name: getattr(usage, ours) for ours, name in _CACHE.items() if getattr(usage, ours)}
    worldflow.record_usage(
        (response.model_name or default)[:MODEL_LIMIT],
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        **other,
    )
