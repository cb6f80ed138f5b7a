"""Debian's Chromium, driven by Playwright, for the tests of the page."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llm_mesh_middleware import Mesh
from llm_mesh_middleware.cli.serving.background import serving
from llm_mesh_middleware.view import MeshView
from tests.processes import ROOT

__all__ = ["Browser", "browsing", "reason_to_skip", "shown"]

_DRIVER = Path(__file__).with_name("drive.cjs")
_MODULES = os.pathsep.join(
    filter(None, (os.environ.get("NODE_PATH"), f"{ROOT}/.node/node_modules"))
)
_INSTALL = "npm install --prefix .node playwright-core"


def reason_to_skip() -> str:
    """Say what is missing for a browser; nothing if all is there."""
    for program in ("node", "chromium"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    found = subprocess.run(
        ["node", "-e", "require.resolve('playwright-core')"],
        env={**os.environ, "NODE_PATH": _MODULES},
        capture_output=True,
    )
    return "" if found.returncode == 0 else f"Playwright is missing: {_INSTALL}"


class Browser:
    """One page, told what to do and asked what it shows."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._read()

    def do(self, op: str, **options: object) -> Any:
        """Have the driver carry out one operation; return its result."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"op": op, **options}) + "\n")
        self._process.stdin.flush()
        return self._read()

    def wait(self, selector: str, text: str = "", *, within_s: float = 5.0) -> None:
        """Wait until an element contains the text."""
        self.do("wait", selector=selector, text=text, ms=within_s * 1000)

    def assert_well_behaved(self, origin: str) -> None:
        """Fail if the page has logged an error, or asked for anything of another origin."""
        seen = self.do("report")
        assert seen["console"] == []
        assert [url for url in seen["requests"] if not url.startswith(f"{origin}/")] == []

    def _read(self) -> Any:
        assert self._process.stdout is not None
        told = json.loads(self._process.stdout.readline())
        assert "error" not in told, told["error"]
        return told["result"]


@contextmanager
def browsing() -> Iterator[Browser]:
    """Start a browser and end it."""
    with subprocess.Popen(
        ["node", str(_DRIVER), shutil.which("chromium") or "chromium"],
        env={**os.environ, "NODE_PATH": _MODULES},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Browser(process)
        assert process.stdin is not None
        process.stdin.close()
        process.wait(20)


@contextmanager
def shown(mesh: Mesh, *, port: int = 0) -> Iterator[int]:
    """Serve a view of `mesh`; its streams end before the server does."""
    view = MeshView(mesh, authorize=lambda scope: True)
    with serving(view, port=port) as port:
        yield port
        view.end()
