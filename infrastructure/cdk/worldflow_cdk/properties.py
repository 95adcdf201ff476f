"""The template's parameters and outputs. Written by `make cdk` from template.yaml."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal, TypedDict


class Parameters(TypedDict, total=False):
    """Those of the template, with its defaults."""

    stage: Literal["dev", "prod"]
    """In prod the tables have deletion protection and make delete refuses to delete the stack."""
    workflow_modules: Sequence[str]
    """Modules that define workflows and steps. A package includes all its submodules."""
    runtime: Literal["python3.11", "python3.12", "python3.13", "python3.14"]
    """Lambda runtime of the functions and of the wheels in the layers."""
    architecture: Literal["arm64", "x86_64"]
    """Processor architecture of the functions and of the wheels in the layers. arm64 costs 20 percent less."""
    orchestrator_maximum_concurrency: int
    """Maximum number of concurrent turns from the run queue, and from the timer queue. Below it, runs never wait
    for each other.
    """
    orchestrator_reserved_concurrency: int
    """Account concurrency reserved for the orchestrator, at least 2 * OrchestratorMaximumConcurrency + 6. 0
    reserves none.
    """
    step_maximum_concurrency: int
    """Maximum number of concurrent step invocations. Protects the services that steps call, and the account's
    concurrency limit.
    """
    step_reserved_concurrency: int
    """Account concurrency reserved for the step executor, at least StepMaximumConcurrency. 0 reserves none."""
    step_batch_size: int
    """Maximum number of steps per invocation. Above 1 costs less, but a step that kills its function interrupts
    the others in its batch.
    """
    step_memory: int
    """Memory of the step executor in MB. CPU grows in proportion, to one full vCPU at 1769 MB."""
    step_timeout: Literal[30, 60, 120, 300, 900]
    """Timeout of a step invocation in seconds. A step whose function dies is retried StepTimeout + 30 seconds
    after it started.
    """
    step_policies: Sequence[str]
    """ARNs of up to nine managed policies, with what your steps need on AWS. Empty gives steps no rights of
    their own.
    """
    step_queues: Sequence[str]
    """Names of the step queues that you have added to this template. Empty has only the default one."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"]
    """Lowest level that the functions log."""
    log_payloads: bool
    """Whether logs include exception messages, which may contain data of runs."""
    log_retention_days: Literal[1, 3, 7, 14, 30, 60, 90, 180, 365, 400, 731, 1827, 3653]
    """Retention of logs in days. Histories are in the events table and do not depend on logs."""
    tracing: Literal["Off", "XRay", "OpenTelemetry"]
    """XRay sends traces of sampled invocations with the X-Ray SDK. OpenTelemetry sends spans of runs, turns and
    steps.
    """
    otlp_endpoint: str
    """OTLP/HTTP endpoint that receives OpenTelemetry spans, without /v1/traces. Empty sends them to X-Ray
    through the layer in TracingLayerArn.
    """
    tracing_layer_arn: str
    """ARN of a version of the AWSOpenTelemetryDistroPython layer in this region. Empty if
    layers/workflows/requirements.txt installs OpenTelemetry.
    """
    alarm_email: str
    """Email address that receives the alarms. Empty sends no email; the alarms exist either way."""
    dashboard: bool
    """Whether to create a CloudWatch dashboard of the stack's metrics, at $3 per month."""
    event_bus_name: str
    """EventBridge bus in this account and region that receives an event when a run starts, ends or is blocked.
    Empty sends none.
    """
    run_records: bool
    """Whether a record of each run that ends goes to a bucket for Athena, by Firehose. Requires EventBusName."""
    retention_days: int
    """Days after which an ended run is moved from the tables to the archive in the bucket. 0 never archives."""
    archive_days: int
    """Days after which an archived run is permanently deleted. 0 never deletes. S3 charges for at least 90 days."""
    restored_events_table: str
    """Table restored from a backup to use instead of the stack's EventsTable, which leaves the stack but is not
    deleted. Empty uses the stack's own table.
    """
    restored_runs_table: str
    """Table restored from a backup to use instead of the stack's RunsTable."""
    jwt_issuer: str
    """Issuer (iss claim) of the tokens that API callers present. Empty requires requests signed by an IAM
    identity.
    """
    jwt_audience: Sequence[str]
    """Audiences of these tokens (aud or client_id claim). Required with JwtIssuer, and only valid with it."""
    jwt_read_scope: str
    """Scope (scope or scp claim) that a token needs to read runs, schedules and limits. Leave all three scopes
    empty to accept any token.
    """
    jwt_write_scope: str
    """Scope that a token needs to start, signal, update and cancel runs. Required with JwtReadScope."""
    jwt_admin_scope: str
    """Scope that a token needs to terminate, wake, pause, resume, retry and fork runs, to pause workflows, and
    to change schedules and limits. Required with JwtReadScope.
    """
    api_maximum_concurrency: int
    """Concurrent requests of the API and the webhooks together, reserved from the account's concurrency. 0 sets
    no limit and reserves none, for accounts with a small quota.
    """
    api_rate_limit: int
    """Steady-state limit of each API route, and of signed stream URLs, in requests per second. Requests above it
    get status 429.
    """
    api_burst_limit: int
    """Burst limit of each API route, and of signed stream URLs, in requests."""
    webhook_base_url: str
    """Base URL of a domain name that you map to the webhook API, such as https://hooks.example.com. Empty uses
    that API's generated URL.
    """
    webhook_rate_limit: int
    """Steady-state limit of the public webhook route in requests per second."""
    webhook_burst_limit: int
    """Burst limit of the public webhook route in requests."""
    webhook_key_days: int
    """Days between rotations of the key that signs the URLs of webhooks and streams. URLs already issued stay
    valid until they expire. 0 never rotates.
    """
    kms_key_arn: str
    """ARN of your KMS key in this region that encrypts all stored data. Empty uses AWS owned keys, which are
    free.
    """
    payload_key_arns: Sequence[str]
    """ARNs of up to ten KMS keys, for encrypting the payloads of runs before they are stored. The first
    encrypts; all can decrypt. Empty does not encrypt payloads.
    """
    subnet_ids: Sequence[str]
    """Private subnets of the functions, with VPC endpoints or a NAT gateway for the services they call. Empty
    uses no VPC.
    """
    security_group_ids: Sequence[str]
    """Security groups of the functions in these subnets. Required with SubnetIds, and only valid with it."""


NAMES = {
    "stage": "Stage",
    "workflow_modules": "WorkflowModules",
    "runtime": "Runtime",
    "architecture": "Architecture",
    "orchestrator_maximum_concurrency": "OrchestratorMaximumConcurrency",
    "orchestrator_reserved_concurrency": "OrchestratorReservedConcurrency",
    "step_maximum_concurrency": "StepMaximumConcurrency",
    "step_reserved_concurrency": "StepReservedConcurrency",
    "step_batch_size": "StepBatchSize",
    "step_memory": "StepMemory",
    "step_timeout": "StepTimeout",
    "step_policies": "StepPolicies",
    "step_queues": "StepQueues",
    "log_level": "LogLevel",
    "log_payloads": "LogPayloads",
    "log_retention_days": "LogRetentionDays",
    "tracing": "Tracing",
    "otlp_endpoint": "OtlpEndpoint",
    "tracing_layer_arn": "TracingLayerArn",
    "alarm_email": "AlarmEmail",
    "dashboard": "Dashboard",
    "event_bus_name": "EventBusName",
    "run_records": "RunRecords",
    "retention_days": "RetentionDays",
    "archive_days": "ArchiveDays",
    "restored_events_table": "RestoredEventsTable",
    "restored_runs_table": "RestoredRunsTable",
    "jwt_issuer": "JwtIssuer",
    "jwt_audience": "JwtAudience",
    "jwt_read_scope": "JwtReadScope",
    "jwt_write_scope": "JwtWriteScope",
    "jwt_admin_scope": "JwtAdminScope",
    "api_maximum_concurrency": "ApiMaximumConcurrency",
    "api_rate_limit": "ApiRateLimit",
    "api_burst_limit": "ApiBurstLimit",
    "webhook_base_url": "WebhookBaseUrl",
    "webhook_rate_limit": "WebhookRateLimit",
    "webhook_burst_limit": "WebhookBurstLimit",
    "webhook_key_days": "WebhookKeyDays",
    "kms_key_arn": "KmsKeyArn",
    "payload_key_arns": "PayloadKeyArns",
    "subnet_ids": "SubnetIds",
    "security_group_ids": "SecurityGroupIds",
}

DEFAULTS = {
    "Runtime": "python3.13",
    "Architecture": "arm64",
}
"""What the build needs to know."""


class Outputs:
    """The outputs of the stack."""

    @abstractmethod
    def _output(self, name: str) -> str: ...

    @property
    def api_url(self) -> str:
        """Base URL of the API. Requests carry a bearer token if JwtIssuer is set, otherwise a SigV4 signature
        for execute-api.
        """
        return self._output("ApiUrl")

    @property
    def webhook_url(self) -> str:
        """WORLDFLOW_WEBHOOK_URL of an application; a public URL."""
        return self._output("WebhookUrl")

    @property
    def webhook_api_id(self) -> str:
        """ID of the webhook API, for mapping your domain name to it."""
        return self._output("WebhookApiId")

    @property
    def webhook_secret_arn(self) -> str:
        """WORLDFLOW_WEBHOOK_SECRET_ARN of an application."""
        return self._output("WebhookSecretArn")

    @property
    def events_table_name(self) -> str:
        """WORLDFLOW_EVENTS_TABLE of an application."""
        return self._output("EventsTableName")

    @property
    def runs_table_name(self) -> str:
        """WORLDFLOW_RUNS_TABLE of an application."""
        return self._output("RunsTableName")

    @property
    def run_queue_url(self) -> str:
        """WORLDFLOW_RUN_QUEUE_URL of an application."""
        return self._output("RunQueueUrl")

    @property
    def step_queue_url(self) -> str:
        """WORLDFLOW_STEP_QUEUE_URL of an application."""
        return self._output("StepQueueUrl")

    @property
    def timer_queue_url(self) -> str:
        """WORLDFLOW_TIMER_QUEUE_URL of an application."""
        return self._output("TimerQueueUrl")

    @property
    def timer_queue_arn(self) -> str:
        """WORLDFLOW_TIMER_QUEUE_ARN of an application."""
        return self._output("TimerQueueArn")

    @property
    def timer_dead_letter_queue_arn(self) -> str:
        """WORLDFLOW_TIMER_DEAD_LETTER_ARN of an application."""
        return self._output("TimerDeadLetterQueueArn")

    @property
    def run_dead_letter_queue_url(self) -> str:
        """Dead letters of the run queue."""
        return self._output("RunDeadLetterQueueUrl")

    @property
    def step_dead_letter_queue_url(self) -> str:
        """Dead letters of the step queue."""
        return self._output("StepDeadLetterQueueUrl")

    @property
    def timer_dead_letter_queue_url(self) -> str:
        """Dead letters of the timer queue."""
        return self._output("TimerDeadLetterQueueUrl")

    @property
    def scheduler_group_name(self) -> str:
        """WORLDFLOW_SCHEDULER_GROUP of an application."""
        return self._output("SchedulerGroupName")

    @property
    def scheduler_role_arn(self) -> str:
        """WORLDFLOW_SCHEDULER_ROLE_ARN of an application."""
        return self._output("SchedulerRoleArn")

    @property
    def payload_bucket_name(self) -> str:
        """WORLDFLOW_PAYLOAD_BUCKET of an application."""
        return self._output("PayloadBucketName")

    @property
    def orchestrator_function_name(self) -> str:
        """WORLDFLOW_ORCHESTRATOR_FUNCTION of an application."""
        return self._output("OrchestratorFunctionName")

    @property
    def step_executor_function_name(self) -> str:
        """Name of the function that runs steps."""
        return self._output("StepExecutorFunctionName")

    @property
    def signal_function_name(self) -> str:
        """Name of the function that serves the HTTP API and webhooks."""
        return self._output("SignalFunctionName")

    @property
    def caretaker_function_name(self) -> str:
        """Name of the function that wakes and archives runs every hour."""
        return self._output("CaretakerFunctionName")

    @property
    def start_policy_arn(self) -> str:
        """Managed policy of an application that starts and signals runs."""
        return self._output("StartPolicyArn")

    @property
    def read_policy_arn(self) -> str:
        """Managed policy that only reads runs and schedules."""
        return self._output("ReadPolicyArn")

    @property
    def operate_policy_arn(self) -> str:
        """Managed policy of operators, with the other two."""
        return self._output("OperatePolicyArn")
