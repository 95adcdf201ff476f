"""What the functions promise: how they are fed, what they are told and what stops them from being stopped."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.infrastructure.stack import ROOT, TEMPLATE, Stack, target
from worldflow.runtime.webhooks import ANSWER_TIMEOUT
from worldflow.serving.api.updates import PAUSES
from worldflow.serving.outages import LIFE_RECEIVES, TURN_RECEIVES
from worldflow.stacks import OF_APPLICATIONS_ONLY, OUTPUTS

DEAD_LETTER_QUEUES = {"RunDeadLetterQueue", "StepDeadLetterQueue", "TimerDeadLetterQueue"}
FUNCTIONS = ["OrchestratorFunction", "StepExecutorFunction", "SignalFunction", "CaretakerFunction"]

OWN = {
    "OrchestratorFunction": {"WORLDFLOW_DEAD_LETTER_ARNS"},
    "CaretakerFunction": {"WORLDFLOW_RETENTION_DAYS"},
}


def test_these_are_all_functions(stack: Stack) -> None:
    assert stack.all("Lambda::Function").keys() == set(FUNCTIONS)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_lambda_does_not_take_a_long_run_for_a_loop(stack: Stack, function: str) -> None:
    assert stack[function]["RecursiveLoop"] == "Allow"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_knows_every_resource(stack: Stack, function: str) -> None:
    variables = stack[function]["Environment"]["Variables"]
    told = {name: value for name, value in variables.items() if name.startswith("WORLDFLOW_")}
    resources = {name: stack.outputs[output] for name, output in OUTPUTS.items() if name not in OF_APPLICATIONS_ONLY}
    told_of_no_resource = {
        "WORLDFLOW_WORKFLOWS": "workflows",
        "WORLDFLOW_LOG_PAYLOADS": "false",
        "WORLDFLOW_TRACING": "Off",
    }
    own = {name: value for name, value in told.items() if name in OWN.get(function, set())}
    assert told == resources | told_of_no_resource | own
    assert own.keys() == OWN.get(function, set())


def test_the_orchestrator_knows_each_dead_letter_queue_that_it_reads(stack: Stack) -> None:
    arns = stack["OrchestratorFunction"]["Environment"]["Variables"]["WORLDFLOW_DEAD_LETTER_ARNS"]
    separator, queues = arns["Fn::Join"]
    assert separator == ","
    assert {target(arn) for arn in queues} == DEAD_LETTER_QUEUES


@pytest.mark.parametrize("function", ["OrchestratorFunction", "SignalFunction"])
def test_sets_are_walked_in_one_order_wherever_a_workflow_is_replayed(stack: Stack, function: str) -> None:
    assert stack[function]["Environment"]["Variables"]["PYTHONHASHSEED"] == "0"


def test_who_waits_for_an_answer_is_answered_in_the_functions_time(stack: Stack) -> None:
    assert max(sum(PAUSES), ANSWER_TIMEOUT) < stack["SignalFunction"]["Timeout"] - 5, "a cold start takes some, too"


def test_the_handler_knows_when_a_message_died(stack: Stack) -> None:
    queues = {name: stack[name]["RedrivePolicy"] for name in stack.all("SQS::Queue") if "RedrivePolicy" in stack[name]}
    assert {name: policy["maxReceiveCount"] for name, policy in queues.items()} == {
        "RunQueue": TURN_RECEIVES,
        "StepQueue": LIFE_RECEIVES,
        "TimerQueue": LIFE_RECEIVES,
    }


def test_a_function_says_who_it_is_in_logs_and_metrics() -> None:
    stack = Stack(LogLevel="DEBUG")
    names = set()
    for function in FUNCTIONS:
        variables = stack[function]["Environment"]["Variables"]
        assert variables["POWERTOOLS_METRICS_NAMESPACE"] == {"Fn::Sub": "Worldflow/${AWS::StackName}"}
        assert variables["POWERTOOLS_LOG_LEVEL"] == "DEBUG"
        names.add(variables["POWERTOOLS_SERVICE_NAME"])
    assert names == {"orchestrator", "step_executor", "signal", "caretaker"}


def test_concurrency_is_bounded_at_the_queues(stack: Stack) -> None:
    for source in stack.all("Lambda::EventSourceMapping").values():
        assert source["ScalingConfig"]["MaximumConcurrency"] >= 2


def test_the_parameters_bound_concurrency() -> None:
    stack = Stack(OrchestratorMaximumConcurrency=70, StepMaximumConcurrency=80)
    bounds = {
        queue: stack.event_source(queue)["ScalingConfig"]["MaximumConcurrency"]
        for queue in ("RunQueue", "TimerQueue", "StepQueue")
    }
    assert bounds == {"RunQueue": 70, "TimerQueue": 70, "StepQueue": 80}


def test_every_event_source_tells_failed_messages_from_done_ones(stack: Stack) -> None:
    for source in stack.all("Lambda::EventSourceMapping").values():
        assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_no_event_source_waits_for_more_messages(stack: Stack) -> None:
    for source in stack.all("Lambda::EventSourceMapping").values():
        assert "MaximumBatchingWindowInSeconds" not in source
        assert source["BatchSize"] <= 10


def test_messages_of_one_run_can_be_one_turn(stack: Stack) -> None:
    assert stack.event_source("RunQueue")["BatchSize"] == 10


def test_a_step_that_dies_takes_no_neighbour_with_it_unless_asked_to(stack: Stack) -> None:
    assert stack.event_source("StepQueue")["BatchSize"] == 1
    assert Stack(StepBatchSize=5).event_source("StepQueue")["BatchSize"] == 5


def test_who_reads_which_queue(stack: Stack) -> None:
    readers = {
        target(s["EventSourceArn"]): target(s["FunctionName"]) for s in stack.all("Lambda::EventSourceMapping").values()
    }
    assert readers == {
        "RunQueue": "OrchestratorFunction",
        "TimerQueue": "OrchestratorFunction",
        "RunDeadLetterQueue": "OrchestratorFunction",
        "StepDeadLetterQueue": "OrchestratorFunction",
        "TimerDeadLetterQueue": "OrchestratorFunction",
        "StepQueue": "StepExecutorFunction",
    }


def test_timeouts_and_memory() -> None:
    stack = Stack(StepTimeout=900, StepMemory=2048)
    assert stack["OrchestratorFunction"]["Timeout"] == 60
    assert stack["SignalFunction"]["Timeout"] < 30, "the API gives up at 30 s"
    assert stack["StepExecutorFunction"]["Timeout"] == 900
    assert stack["StepExecutorFunction"]["MemorySize"] == 2048


def test_functions_and_layers_are_for_the_same_machine() -> None:
    stack = Stack(Runtime="python3.13", Architecture="x86_64")
    for function in FUNCTIONS:
        assert stack[function]["Runtime"] == "python3.13"
        assert stack[function]["Architectures"] == ["x86_64"]
        assert stack[function]["Handler"] == "app.handler"
    for layer in stack.all("Lambda::LayerVersion").values():
        assert layer["CompatibleRuntimes"] == ["python3.13"]
        assert layer["CompatibleArchitectures"] == ["x86_64"]


@pytest.mark.parametrize("runtime", TEMPLATE["Parameters"]["Runtime"]["AllowedValues"])
@pytest.mark.parametrize("architecture", TEMPLATE["Parameters"]["Architecture"]["AllowedValues"])
@pytest.mark.parametrize("layer", ["EngineLayer", "WorkflowsLayer"])
def test_a_layer_is_built_for_the_machine_of_the_parameters(layer: str, runtime: str, architecture: str) -> None:
    metadata = TEMPLATE["Resources"][layer]["Metadata"]
    assert metadata == {
        "BuildMethod": "makefile",
        "BuildArchitecture": {"Ref": "Architecture"},
        "ContextPath": {"Fn::Sub": "layers/targets/${Runtime}-${Architecture}"},
    }
    makefile = ROOT / "layers/targets" / f"{runtime}-{architecture}" / "Makefile"
    commands = dry_run(makefile, f"build-{layer}")
    machine = {"arm64": "aarch64"}.get(architecture, architecture)
    assert f"--python-version {runtime.removeprefix('python')} " in commands
    assert set(re.findall(r"--platform manylinux\w*?_(aarch64|x86_64)", commands)) == {machine}
    if layer == "EngineLayer":
        assert f"echo {runtime}-{architecture} > /built/python/worldflow/layer_target.txt" in commands


def dry_run(makefile: Path, target: str) -> str:
    """The commands that a target runs, as SAM has them run."""
    command = ["make", "--dry-run", "--makefile", str(makefile), target, "ARTIFACTS_DIR=/built"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.replace("\\\n", " ")


@pytest.mark.parametrize("runtime", TEMPLATE["Parameters"]["Runtime"]["AllowedValues"])
def test_wheels_are_for_any_glibc_up_to_that_of_the_runtime(runtime: str) -> None:
    newest = 26 if runtime == "python3.11" else 34  # Amazon Linux 2, and Amazon Linux 2023
    commands = dry_run(ROOT / f"layers/targets/{runtime}-arm64/Makefile", "build-WorkflowsLayer")
    assert {int(minor) for minor in re.findall(r"manylinux_2_(\d+)_aarch64", commands)} == set(range(17, newest + 1))


def test_layers_are_built_from_a_checkout_without_symbolic_links() -> None:
    assert not [path for path in (ROOT / "layers").rglob("*") if path.is_symlink()]


def test_the_runtime_unless_told_otherwise_is_one_that_stays() -> None:
    assert TEMPLATE["Parameters"]["Runtime"]["Default"] == "python3.13", "supported until 2029; python3.11 until 2027"


def test_the_engines_layer_leaves_the_sdk_to_the_runtime() -> None:
    requirements = (ROOT / "layers" / "worldflow" / "requirements.txt").read_text()
    packages = {line.partition("==")[0] for line in requirements.splitlines() if not line.startswith("#")}
    assert {"pydantic", "pydantic-core", "aws-lambda-powertools", "aws-xray-sdk"} <= packages
    assert not {"boto3", "botocore", "pip"} & packages
