"""What needs no load, or one of its own: memory, start, import, open streams, translations."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.child import probe_ms
from tests.benchmarks.contenders import CONTENDERS
from tests.benchmarks.dialects import EVENT_US, UNARY_US, event_s, unary_s
from tests.benchmarks.load import Load, run_load
from tests.benchmarks.processes import Fleet
from tests.benchmarks.results import Budget
from tests.benchmarks.scenarios import Scenario
from tests.benchmarks.wire import chat_request, stream_answer
from tests.processes import ROOT, Program, clean_environment, free_port
from tests.translation.dialect_table import CLIENTS, PAIRS

__all__ = ["measure_standing"]

_MAX_IDLE_MB, _MAX_START_S, _MAX_IMPORT_MS, _MAX_STREAM_KB = 60.0, 0.5, 300.0, 30.0
_STREAMS = 5_000
_STARTS = 5  # of which the least is told: other work of the machine only adds
_TIMES = 1_000
_CHUNKS, _PACE_S = 20, 1.0
_SETTLED_S = 15.0  # until all streams are open, and before any of them ends
_MANIFEST = """
apiVersion: istio.alibabacloud.com/v1
kind: LLMProvider
metadata: {name: provider}
spec:
  host: provider.example
  configs: {defaultConfig: {openAIConfig: {model: m, apiKey: sk-benchmark-0123456789abcdef}}}
"""
_IMPORT = """
import time
begun = time.process_time()
from llm_mesh_middleware import LLMMeshMiddleware, Mesh
print((time.process_time() - begun) * 1e3)
"""


def measure_standing(fleet: Fleet, *, streams: int = _STREAMS) -> Mapping[str, Budget]:
    """The figures, each with its budget."""
    starts = [_idle() for _ in range(_STARTS)]
    idle_mb, start_s = max(mb for mb, _ in starts), min(s for _, s in starts)
    probe = probe_ms()
    kilobytes, errors = _open_streams(fleet, streams)
    call_us, event_us = _translations()
    return {
        "idle": Budget("memory of an idle `serve`", idle_mb, _MAX_IDLE_MB, "MB"),
        "start": Budget("CPU until it listens", start_s, _MAX_START_S, "s", probe),
        "import": Budget("CPU of the import", _import_ms(), _MAX_IMPORT_MS, "ms", probe),
        "stream": Budget(f"memory of one of {streams} streams", kilobytes, _MAX_STREAM_KB, "KB"),
        "call": Budget("translation of a call, the dearest pair", call_us, UNARY_US, "µs", probe),
        "event": Budget(
            "translation of an event, the dearest pair", event_us, EVENT_US, "µs", probe
        ),
        "errors": Budget("streams that have failed", float(errors), 0.0, ""),
    }


def _idle() -> tuple[float, float]:
    """Memory of the command when it listens, and the CPU that it took until then."""
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "mesh.yaml"
        file.write_text(_MANIFEST, encoding="utf-8")
        command = [sys.executable, "-m", "llm_mesh_middleware.cli", "serve", "--config", str(file)]
        with Program([*command, "--port", str(port)]) as serve:
            while not any("running on" in line for line in serve.lines):
                time.sleep(0.05)
            status = Path(f"/proc/{serve.pid}")
            pages = int((status / "statm").read_text("ascii").split()[1])
            times = (status / "stat").read_text("ascii").rpartition(")")[2].split()[11:13]
    ticks = sum(map(int, times)) / os.sysconf("SC_CLK_TCK")
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20, ticks


def _import_ms() -> float:
    """CPU of an import in a process of its own, in milliseconds."""
    took = []
    for _ in range(_STARTS):
        run = subprocess.run(
            [sys.executable, "-c", _IMPORT],
            cwd=ROOT,
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        took.append(float(run.stdout))
    return min(took)


def _translations() -> tuple[float, float]:
    """Microseconds of a call, and of an event, of the pair of dialects that takes the longest."""
    calls = [unary_s(*pair, _TIMES) for pair in PAIRS if pair[1] in CLIENTS]
    events = [event_s(*pair, _TIMES) for pair in PAIRS]
    return max(calls) * 1e6, max(events) * 1e6


def _open_streams(fleet: Fleet, streams: int) -> tuple[float, int]:
    """Memory of `serve` for each stream while all are open, in KB, and how many have failed."""
    scenario = Scenario("open", "sse", streams, chunks=_CHUNKS, pace_s=_PACE_S)
    fleet.prepare(scenario)
    server = fleet.server("serve-silent", is_tls=False)
    request = chat_request(CONTENDERS["serve-silent"].model, size_bytes=1024, is_stream=True)
    load = Load(server.facts["port"], request, stream_answer(_CHUNKS), streams, 1.0, streams)
    before_mb = server.read_memory_mb()

    async def hold() -> tuple[float, int]:
        running = asyncio.create_task(run_load(load, lambda: 0.0))
        await asyncio.sleep(_SETTLED_S)
        during_mb = server.read_memory_mb()
        seen = await running
        return (during_mb - before_mb) * 1024 / streams, seen.errors

    return asyncio.run(hold())
