"""OpenTelemetry's own instrumentation of Flask, before the mesh and behind it."""

from __future__ import annotations

import flask
import pytest
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.trace import SpanKind

from llm_mesh_flask import LLMMesh
from llm_mesh_middleware.testing import FakeUpstream
from tests.telemetry.recording import CHAT, HOST, Recorder, make_mesh


@pytest.mark.parametrize("is_before", [True, False])
def test_the_span_of_the_request_is_the_meshs_own(is_before: bool) -> None:
    recorder, app = Recorder(), flask.Flask("app")
    with FakeUpstream(tls=False) as upstream:
        mesh = make_mesh(recorder, upstream)
        if not is_before:
            LLMMesh(app, mesh=mesh)
        FlaskInstrumentor().instrument_app(  # type: ignore[no-untyped-call]
            app, tracer_provider=recorder.tracers, meter_provider=recorder.meters
        )
        if is_before:
            LLMMesh(app, mesh=mesh)
        assert app.test_client().post(f"http://{HOST}/", json=CHAT).status_code == 200
        mesh.close()
    (server,) = recorder.of_kind(SpanKind.SERVER)
    assert "llm_mesh" in server.instrumentation_scope.name
    assert recorder.call.parent.span_id == server.context.span_id
    assert server.parent is None
