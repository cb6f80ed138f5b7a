"""A collector that is down, or takes connections and never answers, is no business of a request."""

from __future__ import annotations

import socket
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from llm_mesh_middleware.testing import Answer, chat_completion
from tests.processes import Program, free_port
from tests.telemetry.e2e.calls import HOST, Providers
from tests.telemetry.e2e.conftest import Start

# A tenth of a collector's usual time limit: a call that waited for one export would show.
LONGEST_S = 1.0
CALLS = 100
QUEUE = 25  # spans and logs; full after a quarter of the calls
HURRIED = {
    "OTEL_BSP_SCHEDULE_DELAY": "10",
    "OTEL_BLRP_SCHEDULE_DELAY": "10",
    "OTEL_METRIC_EXPORT_INTERVAL": "50",
    "OTEL_BSP_MAX_QUEUE_SIZE": str(QUEUE),
    "OTEL_BLRP_MAX_QUEUE_SIZE": str(QUEUE),
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": str(QUEUE),
    "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE": str(QUEUE),
}


@pytest.fixture
def hanging() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # the system accepts, nobody reads
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.slow
def test_a_dead_collector_costs_no_call_its_time_and_the_process_ends(
    hanging: str, start: Start, upstreams: Providers
) -> None:
    upstreams.primary.always(Answer(body=chat_completion("Good day")))
    down = f"http://127.0.0.1:{free_port()}"
    cases = [(hanging, "http/protobuf"), (down, "grpc")]
    programs = []
    for endpoint, protocol in cases:
        program, url = start(
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_EXPORTER_OTLP_PROTOCOL=protocol, **HURRIED
        )
        check_calls(program, url)
        programs.append(program)
    begun = time.monotonic()  # side by side: each may take seconds
    for program in programs:
        program.terminate()
    for program in programs:
        program.wait(15)
        assert time.monotonic() - begun < 10
        said = "".join(program.lines)
        assert "telemetry was not delivered" in said
        assert "only be called once" not in said


def check_calls(program: Program, url: str) -> None:
    body = {"messages": [{"role": "user", "content": "Good morning " * 100}]}
    times: list[float] = []
    full_kib = 0
    with httpx.Client(base_url=url, trust_env=False, headers={"host": HOST}) as client:
        for number in range(CALLS):
            begun = time.perf_counter()
            assert client.post("/", json=body).status_code == 200
            times.append(time.perf_counter() - begun)
            if number == CALLS // 2:
                full_kib = resident_kib(program.pid)
    assert max(times) < LONGEST_S
    assert statistics.median(times) < LONGEST_S / 10
    assert resident_kib(program.pid) - full_kib < 16 * 1024


def resident_kib(pid: int) -> int:
    """Memory of a process; 0 where the system has no /proc to read it from."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0
    lines = status.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
