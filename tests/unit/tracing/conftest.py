import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tests.support.otlp import OtlpCollector, otlp_collector
from worldflow.serving.worker import Worker
from worldflow.testing import WorkflowEnvironment
from worldflow.tracing.emitting import tracer_of
from worldflow.tracing.live import TracingObserver
from worldflow.tracing.sending import exporter_to, provider_of

TracedEnvironment = Callable[[], AbstractAsyncContextManager[WorkflowEnvironment]]


@pytest.fixture
def collector() -> Iterator[OtlpCollector]:
    with otlp_collector() as collector:
        yield collector


@pytest.fixture
def provider(collector: OtlpCollector) -> Iterator[TracerProvider]:
    """A provider that sends each span as soon as it ends."""
    provider: TracerProvider = provider_of("orders", shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter_to(collector.url)))
    yield provider
    provider.shutdown()


@pytest.fixture
def traced(provider: TracerProvider) -> TracedEnvironment:
    """An environment whose worker is traced, and replays a history before each turn."""

    @asynccontextmanager
    async def traced() -> AsyncIterator[WorkflowEnvironment]:
        async with WorkflowEnvironment() as env:
            observer = TracingObserver(tracer_of(provider), env.world.now)
            await asyncio.to_thread(env._worker.close)
            env._worker = Worker(env.world, live_limit=0, strict=True, observer=observer)
            yield env

    return traced
