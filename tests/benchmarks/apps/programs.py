"""Gateways that are programs of their own: what each is told, and how its process is started.

Each runs beside the process that answers for it, on the same core, and ends with it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.benchmarks.apps.envoy import bootstrap
from tests.benchmarks.apps.mesh import MANIFESTS
from tests.benchmarks.wire import KEY, MODEL, PATH, PROVIDER_HOST, Origin

__all__ = ["Program", "make_envoy", "make_exported_envoy", "make_portkey", "make_smg"]


class Program:
    """A command that serves a port; `headers` are what its clients must send in addition."""

    def __init__(
        self,
        command: Callable[[int], Sequence[str]],
        *,
        headers: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._command = command
        self._environ = {**os.environ, **(environ or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self.headers = dict(headers or {})

    @property
    def pid(self) -> int | None:
        """The process, once it runs."""
        return self._process.pid if self._process is not None else None

    def __call__(self, port: int) -> None:
        """Serve `port` until the program ends."""
        with open(os.devnull, "wb") as nowhere:  # logs are written, and nobody reads them
            command = self._command(port)
            self._process = subprocess.Popen(
                command, env=self._environ, stdin=subprocess.DEVNULL, stdout=nowhere, stderr=nowhere
            )
        self._process.wait()

    def end(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()


def make_envoy(origin: Origin, *, program: str) -> Program:
    """Envoy that routes, sets the key and logs tokens; the client has to name the right model."""

    def command(port: int) -> list[str]:
        return _envoy(program, json.dumps(bootstrap(origin, port)))

    return Program(command)


def make_exported_envoy(origin: Origin, *, program: str) -> Program:
    """Envoy with what `llm-mesh export envoy` makes of the mesh's manifests.

    So it does what the mesh does: it selects a rule, sets model and key, and logs the tokens.
    """
    manifests = Path(tempfile.mkdtemp(prefix="benchmark-")) / "mesh.yaml"
    documents = (json.dumps(document) for document in MANIFESTS)
    manifests.write_text("\n---\n".join(documents), encoding="utf-8")
    environ = {"LLM_MESH_ENDPOINTS": json.dumps({PROVIDER_HOST: origin.url})}
    if origin.ca_file is not None:
        environ["LLM_MESH_CA_FILE"] = origin.ca_file

    def command(port: int) -> list[str]:
        export = [sys.executable, "-m", "llm_mesh_middleware.cli", "export", "envoy", "--partial"]
        export += ["--config", str(manifests), "--port", str(port)]
        run = subprocess.run(
            export, env={**os.environ, **environ}, capture_output=True, check=True, text=True
        )
        return _envoy(program, run.stdout)

    return Program(command, environ={"LLM_MESH_PROVIDER_AUTHORIZATION": KEY})


def _envoy(program: str, configuration: str) -> list[str]:
    file = Path(tempfile.mkdtemp(prefix="benchmark-")) / "envoy.yaml"
    file.write_text(configuration, encoding="utf-8")
    return [program, "-c", str(file), "--concurrency", "1", "--disable-hot-restart"]


def make_portkey(origin: Origin, *, program: str) -> Program:
    """Portkey's gateway on Node; each request brings its configuration along."""
    config = {
        "provider": "openai",
        "api_key": KEY,
        "custom_host": origin.url + PATH.removesuffix("/chat/completions"),
        "override_params": {"model": MODEL},
    }
    return Program(
        lambda port: ["node", program, f"--port={port}", "--headless"],
        headers={"x-portkey-config": json.dumps(config)},
        environ={"NODE_ENV": "production"},
    )


def make_smg(origin: Origin, *, program: str) -> Program:
    """Shepherd's gateway in front of a provider of OpenAI's API; it sets neither model nor key."""
    url = origin.url + PATH.removesuffix("/v1/chat/completions")
    options = ["--backend", "openai", "--worker-urls", url, "--host", "127.0.0.1"]
    return Program(
        lambda port: [program, "launch", *options, "--port", str(port)],
        headers={"Authorization": f"Bearer {KEY}"},
    )
