"""The runs: what a call costs with several processes, and what a shared limit admits."""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.policies.cluster import Cluster
from tests.processes import Program
from tests.scale.load import USERS, call_all
from tests.scale.meshes import Mesh, meshes

__all__ = ["Figures", "Limits", "run_limits", "run_processes"]

_RUNNING = re.compile(r"running on (http://127\.0\.0\.1:\d+)")
_BY_USER = 'name: by-user, by: ["header:x-user"], trustHeaders: true'
_WARM_UP = 24  # calls to each process before the clock starts


@dataclass(frozen=True, slots=True)
class Figures:
    """What `calls` calls in all, `rate` a second, have cost the processes and each node."""

    processes: int
    is_limited: bool
    calls: int
    rate: float
    cpu_ms: float
    scripts: list[int]

    def as_dict(self) -> dict[str, Any]:
        """Return the figures for a file."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Limits:
    """How many calls of each user were admitted, and how many refused in all."""

    limit: int
    admitted: dict[str, int]
    refused: int

    @property
    def is_exact(self) -> bool:
        """Whether each user had the limit, no more and no less."""
        return set(self.admitted.values()) == {self.limit}


def run_processes(
    counts: Sequence[int], calls: int, folder: Path, *, is_limited: bool
) -> list[Figures]:
    """Call some of the processes `calls` times each; nobody comes near the limit."""
    limit = f"{{{_BY_USER}, tokens: 100G, per: 24h}}" if is_limited else None
    with _upstream() as upstream, _cluster(folder) as cluster:
        url = upstream.wait_line(_RUNNING)[1]
        with meshes(max(counts), folder, upstream=url, store=cluster.url, limit=limit) as found:
            asyncio.run(call_all(found, _WARM_UP))
            return [_measure(found[:count], cluster, calls, is_limited) for count in counts]


def _cluster(folder: Path) -> Cluster:
    """Return a new cluster; several may use the folder, one after the other."""
    return Cluster(Path(tempfile.mkdtemp(dir=folder)))


def _measure(meshes: Sequence[Mesh], cluster: Cluster, calls: int, is_limited: bool) -> Figures:
    scripts, cpu_s = cluster.settled(), sum(mesh.cpu_s() for mesh in meshes)
    begun_at = time.monotonic()
    answers = asyncio.run(call_all(meshes, calls))
    rate = answers.total() / (time.monotonic() - begun_at)
    used_s = sum(mesh.cpu_s() for mesh in meshes) - cpu_s
    asked = [now - then for now, then in zip(cluster.settled(), scripts, strict=True)]
    assert {status for _, status in answers} == {200}, answers
    total = answers.total()
    return Figures(len(meshes), is_limited, total, rate, used_s * 1000 / total, asked)


def run_limits(processes: int, folder: Path, *, limit: int = 50) -> Limits:
    """Call twice as often as the limit allows each user, at all processes at once."""
    item = f"{{{_BY_USER}, requests: {limit}, per: 24h}}"
    with _upstream() as upstream, _cluster(folder) as cluster:
        url = upstream.wait_line(_RUNNING)[1]
        with meshes(processes, folder, upstream=url, store=cluster.url, limit=item) as found:
            answers = asyncio.run(call_all(found, 2 * limit * len(USERS) // processes))
    assert {status for _, status in answers} == {200, 429}, answers
    admitted = {user: answers[user, 200] for user in USERS}
    return Limits(limit, admitted, sum(answers[user, 429] for user in USERS))


def _upstream() -> Program:
    return Program([sys.executable, "-m", "tests.soak.upstream"])
