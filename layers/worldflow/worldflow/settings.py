"""What a process is told by its environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from worldflow.engine.errors import ConfigurationError

NO_REGION = "no AWS region is set: set AWS_REGION, or a region in the AWS profile"


class Settings(BaseModel):
    """The `WORLDFLOW_*` variables, read once.

    The queues of runs and timers are found beside the queue of steps where only that is given: `x-steps.fifo` goes with
    `x-runs.fifo` and `x-timers`, as `worldflow.aws_setup` names them.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    events_table: str
    runs_table: str
    step_queue_url: str
    run_queue_url: str
    timer_queue_url: str
    timer_queue_arn: str | None = None
    timer_dead_letter_arn: str | None = None
    scheduler_group: str | None = None
    scheduler_role_arn: str | None = None
    payload_bucket: str | None = None
    payload_codec: str | None = None
    event_bus: str | None = None
    """The EventBridge bus that status events of runs go to; none where that is not set."""
    webhook_url: str | None = None
    webhook_secret_arn: str | None = None
    dead_letter_arns: tuple[str, ...] = ()
    history_limit: int = Field(default=50_000, ge=100)
    turn_cpu_limit: float = Field(default=5.0, gt=0)
    retention_days: int = Field(default=0, ge=0)
    """Days after its end at which a run is archived; 0 for never."""
    workflows: tuple[str, ...] = Field(default=("workflows",))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ, **overrides: Any) -> Settings:
        """Reads `WORLDFLOW_EVENTS_TABLE` and the rest. Raises `ConfigurationError` that names what is missing."""
        values: dict[str, Any] = {}
        for name, field in cls.model_fields.items():
            if text := environ.get(f"WORLDFLOW_{name.upper()}"):
                is_list = field.annotation == tuple[str, ...]
                values[name] = [part.strip() for part in text.split(",") if part.strip()] if is_list else text
        values |= {name: value for name, value in overrides.items() if value is not None}
        steps = values.get("step_queue_url", "")
        if steps.endswith("steps.fifo"):
            stem = steps.removesuffix("steps.fifo")
            values = {"run_queue_url": f"{stem}runs.fifo", "timer_queue_url": f"{stem}timers"} | values
        try:
            return cls(**values)
        except ValidationError as error:
            if wrong := [detail for detail in error.errors() if detail["type"] != "missing"]:
                name = f"WORLDFLOW_{str(wrong[0]['loc'][0]).upper()}"
                raise ConfigurationError(f"{name} does not fit: {wrong[0]['msg']}") from None
            missing = ", ".join(f"WORLDFLOW_{str(detail['loc'][0]).upper()}" for detail in error.errors())
            raise ConfigurationError(
                f"missing from the environment: {missing}. They are outputs of the deployed stack "
                f"(`make environment STACK=NAME`); `python -m worldflow.aws_setup status` prints those of what it made"
            ) from None
