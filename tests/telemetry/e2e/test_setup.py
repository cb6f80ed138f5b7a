"""`setup_telemetry()` in processes of its own, since what it sets up is the process's."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Mapping

import pytest

from tests.processes import ROOT, clean_environment

pytestmark = pytest.mark.slow


def run(code: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=clean_environment() | environ,
        capture_output=True,
        text=True,
        timeout=30,
    )


SHOW = """
from opentelemetry import trace
from llm_mesh_middleware import setup_telemetry
end = setup_telemetry()
with trace.get_tracer("t").start_as_current_span("made") as span:
    print("recording", span.is_recording())
end(); end()
"""


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, ["recording False"]),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "console"}, ["recording False"]),
        (
            {"OTEL_TRACES_EXPORTER": "console"},
            ["recording True", '"name": "made"', '"service.name": "llm-mesh"'],
        ),
        (
            {"OTEL_TRACES_EXPORTER": "console", "OTEL_TRACES_SAMPLER": "always_off"},
            ["recording False"],
        ),
    ],
)
def test_the_standard_variables_decide(environ: Mapping[str, str], said: list[str]) -> None:
    done = run(SHOW, environ)
    assert done.returncode == 0, done.stderr
    assert [text for text in said if text not in done.stdout] == []
    assert done.stderr == ""


def test_an_sdk_that_is_there_already_is_left_alone() -> None:
    code = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

own = TracerProvider()
trace.set_tracer_provider(own)
""" + SHOW.replace("end(); end()", "end(); print(own._active_span_processor._span_processors)")
    done = run(code, {"OTEL_TRACES_EXPORTER": "console"})
    assert (done.stdout, done.stderr) == ("recording True\n()\n", "")


_INSTALL, _CORRECT = "llm-mesh-middleware[otlp]", "OTEL_* variables"


@pytest.mark.parametrize(
    ("variable", "value", "said", "advice"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin", "'zipkin' not found", _INSTALL),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json5", "'http/json5'", _INSTALL),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "'soon'", _CORRECT),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip", "zip", _CORRECT),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "max_queue_size", _CORRECT),
    ],
)
def test_what_cannot_be_used_ends_the_command_with_a_sentence(
    variable: str, value: str, said: str, advice: str
) -> None:
    start = "from llm_mesh_middleware.cli.serve import create_app; create_app()"
    done = run(start, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", variable: value})
    assert done.returncode == 1
    assert done.stderr.startswith("llm-mesh: telemetry cannot be set up: ")
    assert said in done.stderr
    assert advice in done.stderr
    assert "Traceback" not in done.stderr


def test_a_prometheus_port_that_is_taken_ends_the_command_with_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = run(
            "from llm_mesh_middleware.cli.serve import create_app; create_app()",
            {
                "OTEL_METRICS_EXPORTER": "prometheus",
                "OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.1",
                "OTEL_EXPORTER_PROMETHEUS_PORT": str(port),
            },
        )
    assert done.returncode == 1
    assert "OTEL_EXPORTER_PROMETHEUS_PORT" in done.stderr
    assert "Traceback" not in done.stderr


def test_prometheus_with_several_workers_is_refused() -> None:
    code = "from llm_mesh_middleware.cli import main; main(['serve', '--workers', '2'])"
    done = run(code, {"OTEL_METRICS_EXPORTER": "prometheus"})
    assert done.returncode == 2
    assert "--workers 1" in done.stderr
