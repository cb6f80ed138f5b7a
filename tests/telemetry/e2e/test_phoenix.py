"""Arize Phoenix understands the spans: it finds LLM calls and their token counts. Only with -m e2e.

It brings 150 packages, so it is looked for on the PATH, in an environment of its own.
"""

from __future__ import annotations

import faulthandler
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.processes import Program, free_port
from tests.telemetry.e2e.calls import Providers, make_calls
from tests.telemetry.e2e.conftest import Start

pytestmark = pytest.mark.e2e


@pytest.fixture
def phoenix(tmp_path: Path) -> Iterator[httpx.Client]:
    program = shutil.which("phoenix")
    if program is None:
        pytest.skip("arize-phoenix is not installed: there is no `phoenix` on the PATH")
    # It starts in half a minute, on a busy machine in more than a test may take.
    faulthandler.cancel_dump_traceback_later()
    port = free_port()
    environ = {
        "PHOENIX_WORKING_DIR": str(tmp_path / "phoenix"),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(free_port()),
        "PHOENIX_TELEMETRY_ENABLED": "false",
        "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
    }
    with (
        Program([program, "serve"], environ) as running,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        wait_until_healthy(client, running)
        yield client


def test_phoenix_counts_the_tokens_of_every_call(
    phoenix: httpx.Client, start: Start, upstreams: Providers
) -> None:
    program, url = start(
        OTEL_EXPORTER_OTLP_ENDPOINT=str(phoenix.base_url),
        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        OTEL_METRICS_EXPORTER="none",
        OTEL_LOGS_EXPORTER="none",
    )
    make_calls(url, upstreams)
    program.terminate()
    program.wait(10)
    calls = wait_for_calls(phoenix)
    assert {span["span_kind"] for span in calls} == {"LLM"}
    counted = [span["attributes"].get("llm.token_count.prompt") for span in calls]
    assert sorted(count for count in counted if count is not None) == [1, 12, 12]


def wait_until_healthy(client: httpx.Client, running: Program) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if client.get("/healthz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError("".join(running.lines))


def wait_for_calls(client: httpx.Client) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 30
    calls: list[dict[str, Any]] = []
    while time.monotonic() < deadline and len(calls) < 4:
        answer = client.get("/v1/projects/default/spans", params={"limit": 100})
        spans = answer.json()["data"] if answer.status_code == 200 else []
        calls = [span for span in spans if span["name"].startswith("chat ")]
        time.sleep(0.05)
    return calls
