"""`llm-mesh serve` as it is installed: its own command, its own process, its own access log."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.apps.mesh import MANIFESTS
from tests.benchmarks.wire import PROVIDER_HOST, Origin

__all__ = ["make"]


def make(origin: Origin, *, exports: bool = False, arguments: tuple[str, ...] = ()) -> object:
    """Return what runs the command on a port.

    Args:
        origin: the upstream, and the sink for telemetry.
        exports: whether every call is traced and measured, and sent over OTLP.
        arguments: more of the command line.
    """
    file = Path(tempfile.mkdtemp(prefix="benchmark-")) / "mesh.yaml"
    documents = (json.dumps(document) for document in MANIFESTS)
    file.write_text("\n---\n".join(documents), encoding="utf-8")
    os.environ["LLM_MESH_ENDPOINTS"] = json.dumps({PROVIDER_HOST: origin.url})
    if origin.ca_file is not None:
        os.environ["LLM_MESH_CA_FILE"] = origin.ca_file
    if exports:
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = origin.sink
        os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf"
        os.environ["OTEL_LOGS_EXPORTER"] = "none"  # the access log has the same
    return _command("serve", "--config", str(file), *arguments)


def _command(*arguments: str) -> Callable[[int], None]:
    from llm_mesh_middleware.cli import main

    def run(port: int) -> None:
        # Written like a log that nobody reads: a terminal is not part of what is measured.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        sys.argv = ["llm-mesh", *arguments, "--port", str(port)]
        main()

    return run
