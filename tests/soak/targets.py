"""What a soak run is put on: the sidecar, or the WSGI middleware on gunicorn."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from tests.canaries import canary
from tests.processes import Program, free_port, sidecar
from tests.soak.load import HOST

__all__ = ["gunicorn", "serve", "write_manifest"]

_MANIFEST = """
apiVersion: istio.alibabacloud.com/v1
kind: LLMProvider
metadata: {{name: soak}}
spec:
  host: {host}
  path: /v1/chat/completions
  endpoint: {url}
  outlierDetection: {{consecutiveFailures: 2147483647}}
  configs: {{defaultConfig: {{openAIConfig: {{model: model-{version}, apiKey: {key}}}}}}}
---
apiVersion: istio.alibabacloud.com/v1
kind: LLMRoute
metadata: {{name: soak}}
spec:
  host: {host}
  rules:
  - name: all
    backendRefs: [{{providerHost: {host}}}]
    retry: {{attempts: 0}}
    timeouts: {{firstByte: 3s, idle: 1s}}
"""
_FIRST = "import tests.soak.targets as t; t.count_tasks();"


def write_manifest(path: Path, url: str, version: int) -> None:
    """Put another version in, in one step."""
    new = path.with_suffix(".new")
    new.write_text(_MANIFEST.format(host=HOST, url=url, version=version, key=canary("soak")))
    new.replace(path)


def serve(config: Path) -> tuple[Program, int]:
    """`llm-mesh serve`, which writes how many tasks it has beside `config`, and its port."""
    environ = {"SOAK_TASKS": str(config.with_suffix(".tasks"))}
    program, url = sidecar(config, environ, first=_FIRST)
    return program, int(url.rpartition(":")[2])


def gunicorn(config: Path) -> tuple[Program, int]:
    """One gthread worker, and its port."""
    port = free_port()
    environ = {"LLM_MESH_CONFIG": json.dumps([str(config)])}
    options = ("-k", "gthread", "--threads", "32", "--bind", f"127.0.0.1:{port}")
    command = (sys.executable, "-m", "gunicorn", "--no-control-socket", *options)
    return Program([*command, "tests.wsgi.app:application"], environ), port


def count_tasks() -> None:
    """In the sidecar: write the number of asyncio tasks to a file, twice a second."""

    loops: list[asyncio.AbstractEventLoop] = []
    run = asyncio.Runner.run

    def noted(runner: asyncio.Runner, main: Coroutine[Any, Any, object], **options: Any) -> object:
        loops.append(runner.get_loop())
        return run(runner, main, **options)

    def count() -> None:
        path = Path(os.environ["SOAK_TASKS"])
        while True:
            time.sleep(0.5)
            path.write_text(str(sum(len(asyncio.all_tasks(loop)) for loop in loops)))

    asyncio.Runner.run = noted  # type: ignore[assignment,method-assign]
    threading.Thread(target=count, name="soak-tasks", daemon=True).start()
