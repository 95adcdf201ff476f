"""The settings of a process, from its environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from worldflow.engine.errors import ConfigurationError
from worldflow.engine.queues import DEFAULT, check_queue

NO_REGION = "no AWS region is set: set AWS_REGION, or a region in the AWS profile"


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"WORLDFLOW_{name.upper()}"


class Output(NamedTuple):
    """The output of a deployed stack that holds a variable's value for an application."""

    name: str


class Settings(BaseModel):
    """The `WORLDFLOW_*` variables, read once.

    This is their one list. The outputs of a stack, the functions' environments in the template and
    `worldflow.aws_setup.Resources` are derived from it or tested against it.

    If only the step queue is set, the run and timer queues are derived from its name: `x-steps.fifo` implies
    `x-runs.fifo` and `x-timers`, as `worldflow.aws_setup` names them.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    events_table: Annotated[str, Output("EventsTableName")]
    runs_table: Annotated[str, Output("RunsTableName")]
    step_queue_url: Annotated[str, Output("StepQueueUrl")]
    run_queue_url: Annotated[str, Output("RunQueueUrl")]
    timer_queue_url: Annotated[str, Output("TimerQueueUrl")]
    step_queues: tuple[str, ...] = ()
    """The names of further step queues, each of which has a function of its own."""
    step_queue_prefix: str | None = None
    """What their names in SQS begin with: with `x-steps-`, the step queue `heavy` is `x-steps-heavy.fifo`. Default:
    derived from `step_queue_url` if that ends in `steps.fifo`.
    """
    timer_queue_arn: Annotated[str | None, Output("TimerQueueArn")] = None
    timer_dead_letter_arn: Annotated[str | None, Output("TimerDeadLetterQueueArn")] = None
    scheduler_group: Annotated[str | None, Output("SchedulerGroupName")] = None
    scheduler_role_arn: Annotated[str | None, Output("SchedulerRoleArn")] = None
    payload_bucket: Annotated[str | None, Output("PayloadBucketName")] = None
    payload_codec: str | None = None
    event_bus: str | None = None
    """The EventBridge bus that status events of runs go to; none where that is not set."""
    webhook_url: Annotated[str | None, Output("WebhookUrl")] = None
    webhook_secret_arn: Annotated[str | None, Output("WebhookSecretArn")] = None
    dead_letter_arns: tuple[str, ...] = ()
    history_limit: int = Field(default=50_000, ge=100)
    turn_cpu_limit: float = Field(default=5.0, gt=0)
    retention_days: int = Field(default=0, ge=0)
    """Days after its end at which a run is archived; 0 for never."""
    workflows: tuple[str, ...] = Field(default=("workflows",))
    triggers: tuple[str, ...] = ()
    """What starts what, in the function of triggers: `orders=fulfil_order`."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ, **overrides: Any) -> Settings:
        """Reads `WORLDFLOW_EVENTS_TABLE` and the rest. Raises `ConfigurationError`, which names missing variables."""
        values: dict[str, Any] = {}
        for name, field in cls.model_fields.items():
            if text := environ.get(variable(name)):
                is_list = field.annotation == tuple[str, ...]
                values[name] = [part.strip() for part in text.split(",") if part.strip()] if is_list else text
        values |= {name: value for name, value in overrides.items() if value is not None}
        steps = values.get("step_queue_url", "")
        if steps.endswith("steps.fifo"):
            stem = steps.removesuffix("steps.fifo")
            values = {"run_queue_url": f"{stem}runs.fifo", "timer_queue_url": f"{stem}timers"} | values
            values.setdefault("step_queue_prefix", f"{steps.rpartition('/')[2].removesuffix('.fifo')}-")
        for name in values.get("step_queues", ()):
            check_queue(name, "each name in WORLDFLOW_STEP_QUEUES")
        if values.get("step_queues") and "step_queue_prefix" not in values:
            raise ConfigurationError(
                "WORLDFLOW_STEP_QUEUES needs WORLDFLOW_STEP_QUEUE_PREFIX: what the names of these queues in SQS begin "
                "with, such as mystack-steps-"
            )
        try:
            return cls(**values)
        except ValidationError as error:
            if wrong := [detail for detail in error.errors() if detail["type"] != "missing"]:
                name = variable(str(wrong[0]["loc"][0]))
                raise ConfigurationError(f"{name} is not valid: {wrong[0]['msg']}") from None
            missing = ", ".join(variable(str(detail["loc"][0])) for detail in error.errors())
            raise ConfigurationError(
                f"missing from the environment: {missing}. Print the values with `make environment STACK=NAME` for a "
                f"deployed stack, or with `python -m worldflow.aws_setup status` for resources that it created"
            ) from None

    def url_of_step_queue(self, name: str | None) -> str:
        """The URL of a step queue, by default of that of steps that name none. Raises `ConfigurationError`."""
        if name is None or name == DEFAULT:
            return self.step_queue_url
        if name not in self.step_queues:
            known = ", ".join((DEFAULT, *self.step_queues))
            raise ConfigurationError(f"there is no step queue {name!r}: WORLDFLOW_STEP_QUEUES has {known}")
        return f"{self.step_queue_url.rpartition('/')[0]}/{self.step_queue_prefix}{name}.fifo"
