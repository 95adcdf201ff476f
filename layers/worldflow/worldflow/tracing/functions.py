"""Tracing in Lambda: what sends the spans of the orchestrator and of the step executor, and when.

Where the layer of AWS's distribution of OpenTelemetry (ADOT) is, it has set up what sends spans, and sends them at the
end of each invocation. Elsewhere they go to OTEL_EXPORTER_OTLP_TRACES_ENDPOINT.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

from worldflow.engine.errors import ConfigurationError
from worldflow.engine.privacy import loggable
from worldflow.tracing.sending import Flush, missing, provider_to
from worldflow.turns.observer import Observer

ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"

_INSTALL = (
    "tracing is off: OpenTelemetry is not in the layers. Set TracingLayerArn to ADOT's layer, or add "
    "opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http to layers/workflows/requirements.txt"
)

_log = logging.getLogger("worldflow")


def set_up() -> tuple[Observer | None, Callable[[], object]]:
    """The observer that traces, and what is to be called at the end of each invocation. No observer where nothing can
    be traced, which is logged: runs continue untraced.
    """
    try:
        return _set_up()
    except ModuleNotFoundError as error:
        _log.error(_INSTALL if missing(error) else f"tracing is off: there is no module {error.name}")
    except ConfigurationError as error:
        _log.error("tracing is off: %s", error)
    except Exception as error:
        _log.error("tracing is off", exc_info=loggable(error))
    return None, _nothing


def _set_up() -> tuple[Observer, Callable[[], object]]:
    from opentelemetry import trace

    from worldflow.tracing.live import TracingObserver

    provider: Any = trace.get_tracer_provider()
    if hasattr(provider, "add_span_processor"):  # the SDK is set up already
        return TracingObserver(), _nothing if "AWS_LAMBDA_EXEC_WRAPPER" in os.environ else Flush(provider)
    if not (endpoint := os.environ.get(ENDPOINT)):
        raise ConfigurationError(f"neither ADOT's layer nor {ENDPOINT} is set (TracingLayerArn, OtlpEndpoint)")
    import opentelemetry.exporter.otlp.proto.http.trace_exporter  # noqa: F401 - or what is said is how to install it here

    provider = provider_to(endpoint, os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "worldflow"))
    trace.set_tracer_provider(provider)  # so that what libraries trace is sent too
    return TracingObserver(), Flush(provider)


def _nothing() -> None:
    pass
