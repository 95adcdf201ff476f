"""What the parameter `Tracing` makes of the functions and of their roles."""

from typing import Any

import pytest

from tests.infrastructure.stack import RefusedParameters, Stack, target

FUNCTIONS = {
    "OrchestratorFunction": "OrchestratorRole",
    "StepExecutorFunction": "StepExecutorRole",
    "SignalFunction": "SignalRole",
    "CaretakerFunction": "CaretakerRole",
}
LAYER = "arn:aws:lambda:eu-west-1:615299751070:layer:AWSOpenTelemetryDistroPython:11"
ENDPOINT = "https://collector.example.test:4318"


def variables(stack: Stack, function: str) -> dict[str, Any]:
    return {
        name: value
        for name, value in stack[function]["Environment"]["Variables"].items()
        if name.startswith("OTEL_") or name in ("WORLDFLOW_TRACING", "AWS_LAMBDA_EXEC_WRAPPER")
    }


def sends_to_x_ray(stack: Stack, function: str) -> bool:
    is_active = stack[function]["TracingConfig"] == {"Mode": "Active"}
    may = "Trace" in stack.statements(FUNCTIONS[function])
    assert is_active == may
    return may


@pytest.mark.parametrize("function", FUNCTIONS)
def test_by_default_nothing_is_traced_and_nothing_may_be(stack: Stack, function: str) -> None:
    assert not sends_to_x_ray(stack, function)
    assert variables(stack, function) == {"WORLDFLOW_TRACING": "Off"}
    assert len(stack[function]["Layers"]) == 2


@pytest.mark.parametrize("function", FUNCTIONS)
def test_x_ray_by_its_sdk(function: str) -> None:
    stack = Stack(Tracing="XRay")
    assert sends_to_x_ray(stack, function)
    trace = stack.statements(FUNCTIONS[function])["Trace"]
    assert trace["Action"] == ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
    assert trace["Resource"] == "*", "X-Ray has no resources to name"
    assert variables(stack, function) == {"WORLDFLOW_TRACING": "XRay"}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_opentelemetry_to_x_ray_by_adots_layer(function: str) -> None:
    stack = Stack(Tracing="OpenTelemetry", TracingLayerArn=LAYER)
    assert sends_to_x_ray(stack, function)
    first, *ours = stack[function]["Layers"]
    assert first == LAYER, "what it brings besides does not count where the engine brings it too"
    assert [target(layer)[:6] for layer in ours] == ["Engine", "Workfl"]
    assert variables(stack, function) == {
        "WORLDFLOW_TRACING": "OpenTelemetry",
        "OTEL_SERVICE_NAME": {"Ref": "AWS::StackName"},
        "AWS_LAMBDA_EXEC_WRAPPER": "/opt/otel-instrument",
        # The layer chooses them itself only with Application Signals.
        "OTEL_PYTHON_DISTRO": "aws_distro",
        "OTEL_PYTHON_CONFIGURATOR": "aws_configurator",
        "OTEL_AWS_APPLICATION_SIGNALS_ENABLED": "false",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
        "OTEL_INSTRUMENTATION_AWS_LAMBDA_FLUSH_TIMEOUT": "1000",
    }


@pytest.mark.parametrize("function", FUNCTIONS)
def test_opentelemetry_to_an_endpoint(function: str) -> None:
    stack = Stack(Tracing="OpenTelemetry", OtlpEndpoint=ENDPOINT)
    assert not sends_to_x_ray(stack, function)
    assert len(stack[function]["Layers"]) == 2
    assert variables(stack, function) == {
        "WORLDFLOW_TRACING": "OpenTelemetry",
        "OTEL_SERVICE_NAME": {"Ref": "AWS::StackName"},
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": {"Fn::Sub": "${OtlpEndpoint}/v1/traces"},
    }


def test_opentelemetry_to_an_endpoint_by_adots_layer() -> None:
    stack = Stack(Tracing="OpenTelemetry", OtlpEndpoint=ENDPOINT, TracingLayerArn=LAYER)
    assert not sends_to_x_ray(stack, "StepExecutorFunction")
    told = variables(stack, "StepExecutorFunction")
    assert told["AWS_LAMBDA_EXEC_WRAPPER"] == "/opt/otel-instrument"
    assert "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" in told


@pytest.mark.parametrize("tracing", ["Off", "XRay"])
def test_a_layer_that_is_not_asked_for_is_not_there(tracing: str) -> None:
    stack = Stack(Tracing=tracing, OtlpEndpoint=ENDPOINT, TracingLayerArn=LAYER)
    assert variables(stack, "OrchestratorFunction") == {"WORLDFLOW_TRACING": tracing}
    assert len(stack["OrchestratorFunction"]["Layers"]) == 2


@pytest.mark.parametrize(
    "parameters",
    [
        {"Tracing": "OpenTelemetry"},
        {"Tracing": "Active"},
        {"OtlpEndpoint": "localhost:4318"},
        {"OtlpEndpoint": "http://localhost:4318/"},
        {"TracingLayerArn": "arn:aws:lambda:eu-west-1:615299751070:layer:AWSOpenTelemetryDistroPython"},
    ],
)
def test_what_would_fail_late_is_refused(parameters: dict[str, str]) -> None:
    with pytest.raises(RefusedParameters):
        Stack(**parameters)
