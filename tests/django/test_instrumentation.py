"""OpenTelemetry's own instrumentation of Django, before the mesh and behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import override_settings
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.trace import SpanKind

from llm_mesh_middleware.testing import FakeUpstream
from tests.contract.adapters import Adapter
from tests.contract.calling import Ask, seen
from tests.django.project import COMMON, MESH
from tests.telemetry.recording import CHAT, Recorder, make_mesh


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def instrument(recorder: Recorder) -> Iterator[Callable[[int], None]]:
    """`instrument(position)` among the middlewares, where the virtual host is an allowed one."""
    instrumentor = DjangoInstrumentor()
    with override_settings(MIDDLEWARE=[MESH, COMMON], ALLOWED_HOSTS=["llm"]):
        yield lambda position: instrumentor.instrument(
            tracer_provider=recorder.tracers,
            meter_provider=recorder.meters,
            middleware_position=position,
        )
        instrumentor.uninstrument()


def spans_of(recorder: Recorder, adapter: Adapter, upstream: FakeUpstream) -> tuple[Any, Any]:
    """The one SERVER span and the one call of a request."""
    with adapter.serve(make_mesh(recorder, upstream)) as call:
        assert seen(call(Ask(CHAT))).status == 200
    asyncio.run(recorder.until(lambda: recorder.calls and recorder.of_kind(SpanKind.SERVER)))
    return recorder.server, recorder.call


def test_a_call_is_a_child_of_the_span_that_django_has(
    recorder: Recorder,
    instrument: Callable[[int], None],
    adapter: Adapter,
    plain_upstream: FakeUpstream,
) -> None:
    instrument(0)
    server, call = spans_of(recorder, adapter, plain_upstream)
    assert "django" in server.instrumentation_scope.name
    assert call.parent.span_id == server.context.span_id


def test_before_djangos_span_the_mesh_has_its_own(
    recorder: Recorder,
    instrument: Callable[[int], None],
    adapter: Adapter,
    plain_upstream: FakeUpstream,
) -> None:
    instrument(1)
    server, call = spans_of(recorder, adapter, plain_upstream)
    assert "llm_mesh" in server.instrumentation_scope.name
    assert call.parent.span_id == server.context.span_id
    assert server.parent is None
