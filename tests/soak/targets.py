"""What a soak run is put on: the sidecar, the middleware on uvicorn, or on gunicorn."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.processes import Program, free_port, sidecar

__all__ = ["TARGETS", "Target"]

_LISTENING = re.compile(r"running on http://127\.0\.0\.1:(\d+)")
_BOOTED = re.compile("Booting worker")
_FIRST = "from tests.soak.inside import watch; watch();"


@dataclass(frozen=True)
class Target:
    """A way to serve the mesh; `start` returns its process and its port."""

    title: str
    start: Callable[[Path], tuple[Program, int]]


def _serve(config: Path) -> tuple[Program, int]:
    """`llm-mesh serve`."""
    program, url = sidecar(config, _environ(config), first=_FIRST)
    return program, int(url.rpartition(":")[2])


def _uvicorn(config: Path) -> tuple[Program, int]:
    """One worker with uvloop and httptools, as uvicorn chooses them."""
    program = Program([sys.executable, "-m", "tests.soak.app"], _environ(config))
    return program, _port_of(program)


def _gunicorn(config: Path) -> tuple[Program, int]:
    """One gthread worker."""
    port = free_port()
    options = ("-k", "gthread", "--threads", "32", "--bind", f"127.0.0.1:{port}")
    command = (sys.executable, "-m", "gunicorn", "--no-control-socket", *options)
    program = Program([*command, "tests.wsgi.app:application"], _environ(config))
    program.wait_line(_BOOTED)
    return program, port


TARGETS: Mapping[str, Target] = {
    "serve": Target("llm-mesh serve", _serve),
    "uvicorn": Target("the middleware on uvicorn", _uvicorn),
    "gunicorn": Target("the middleware on gunicorn", _gunicorn),
}


def _environ(config: Path) -> dict[str, str]:
    """Where the manifest is, and the files by which the server tells of itself."""
    return {"LLM_MESH_CONFIG": json.dumps([str(config)]), "SOAK_FILES": str(config)}


def _port_of(program: Program) -> int:
    try:
        return int(program.wait_line(_LISTENING)[1])
    except BaseException:
        program.__exit__(None, None, None)
        raise
