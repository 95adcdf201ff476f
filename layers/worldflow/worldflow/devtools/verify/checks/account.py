"""The account's own key and network."""

from __future__ import annotations

from worldflow.devtools.verify.failures import Failed, Skipped, Undecided
from worldflow.devtools.verify.outcome import check
from worldflow.devtools.verify.target import FUNCTIONS, Target


@check(
    "Your KMS key",
    statements=(
        "OrchestratorRole.Key",
        "StepExecutorRole.Key",
        "SignalRole.Key",
        "CaretakerRole.Key",
        "SchedulerRole.Key",
    ),
    behaviour="Lambda decrypts the functions' environment through kms:ViaService",
    only_on_aws="the local AWS encrypts nothing with the key",
    look=FUNCTIONS,
)
def key(target: Target) -> str:
    """With KmsKeyArn the tables are encrypted with the key, functions start with an environment encrypted with it, and
    a run needs no more than Decrypt and GenerateDataKey.
    """
    arn = target.parameter("KmsKeyArn")
    if not arn:
        raise Skipped("the stack has no KmsKeyArn: PARAMETERS=KmsKeyArn=arn:aws:kms:...:key/...")
    target.ended(target.start("hello", {"name": "key"}))
    if target.is_local:
        raise Undecided("the local AWS encrypts nothing with the key")
    for name in ("EventsTableName", "RunsTableName"):
        table = target.client("dynamodb").describe_table(TableName=target.outputs[name])["Table"]
        if table.get("SSEDescription", {}).get("KMSMasterKeyArn") != arn:
            raise Failed(f"table {target.outputs[name]} is encrypted with {table.get('SSEDescription')}")
    for function in FUNCTIONS:
        if target.function(function).get("KMSKeyArn") != arn:
            raise Failed(f"the environment of {function} is not encrypted with the key")
    return "tables and environments are encrypted with it, and a run completed"


@check(
    "Your subnets",
    statements=("NetworkPolicy.Interfaces", "NetworkPolicy.Look"),
    behaviour="Lambda creates network interfaces, which lambda:SourceFunctionArn denies to the functions' code",
    only_on_aws="the local AWS has no network interfaces",
    look=FUNCTIONS,
)
def network(target: Target) -> str:
    """With SubnetIds every function runs in them: Lambda may create network interfaces with the function's role, under
    the condition that denies it to the function's code.
    """
    if not target.parameter("SubnetIds"):
        raise Skipped("the stack has no SubnetIds: PARAMETERS='SubnetIds=subnet-1,subnet-2 SecurityGroupIds=sg-1'")
    target.ended(target.start("hello", {"name": "network"}))
    if target.is_local:
        raise Undecided("the local AWS has no network interfaces")
    for function in FUNCTIONS:
        found = target.function(function)
        if not found.get("VpcConfig", {}).get("SubnetIds") or found.get("State") != "Active":
            raise Failed(
                f"{function} is {found.get('State')} ({found.get('StateReason')}), in {found.get('VpcConfig')}"
            )
    return "the functions are active in their subnets, and a run completed"
