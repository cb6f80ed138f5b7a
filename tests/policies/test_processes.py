"""Processes that share a store: one is killed, or the store is a cluster."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from llm_mesh_middleware.testing import (
    Answer,
    FakeUpstream,
    Gate,
    chat_completion,
    token_usage,
)
from tests.policies.cluster import Cluster
from tests.policies.servers import Server
from tests.policies.worker import OUTPUT, TOKENS
from tests.resilience.meshes import key_of

pytestmark = pytest.mark.slow

WHOLE = chat_completion("hello", usage=token_usage(20, OUTPUT))
PREFIX = "llm-mesh:{default/team/"
COST = OUTPUT * 1000  # nano-units of a call
HOLD_S = 600 + 60  # the longest that a request may take, and the grace of a reservation


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream(tls=False, api_key=key_of("primary")) as upstream:
        yield upstream


def start(upstream: FakeUpstream, store: str, callers: int) -> subprocess.Popen[str]:
    program = [sys.executable, "-m", "tests.policies.worker", upstream.url, store, str(callers)]
    return subprocess.Popen(program, stdout=subprocess.PIPE, text=True)


def served(worker: subprocess.Popen[str]) -> int:
    return int(worker.communicate(timeout=120)[0])


def until(holds: object) -> None:
    deadline = time.monotonic() + 60
    while not holds() and time.monotonic() < deadline:  # type: ignore[operator]
        time.sleep(0.005)
    assert holds()  # type: ignore[operator]


def money() -> str:
    return f"{PREFIX}money}}:m:{datetime.now(UTC).year}"


def spent(server: Server) -> int:
    return int(server.client.hget(money(), "s") or 0)


def used_tokens(server: Server) -> float:
    full_at = float(server.client.get(PREFIX + "one}:t") or 0)
    return (full_at / 1e6 + 1_735_689_600 - time.time()) * TOKENS / 3600


def test_a_worker_that_is_killed_leaves_nothing_that_does_not_end_by_itself(
    upstream: FakeUpstream, server: Server
) -> None:
    gate = Gate()
    upstream.always(Answer(body=WHOLE, delay=gate))
    killed = start(upstream, server.url, 20)
    until(lambda: len(upstream.requests) >= 10)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=10)
    taken = server.client.zcard(PREFIX + "one}:c")
    assert 10 <= taken <= 60  # some had left, and were not settled yet
    upstream.always(Answer(body=WHOLE))
    gate.open()
    before, began = used_tokens(server), time.monotonic()

    others = [start(upstream, server.url, 20) for _ in range(2)]
    count = sum(map(served, others))
    slots = server.client.zrange(PREFIX + "one}:c", 0, -1, withscores=True)
    assert len(slots) <= taken
    held = server.client.zrange(money() + ":h", 0, -1, withscores=True)
    assert len(held) <= taken
    now_us = (time.time() - 1_735_689_600) * 1e6
    assert all(until_us <= now_us + HOLD_S * 1e6 for _, until_us in (*slots, *held))
    assert count * COST <= spent(server) <= len(upstream.requests) * COST
    refilled = (time.monotonic() - began) * TOKENS / 3600
    assert count * 100 <= used_tokens(server) - before + refilled + 50
    assert used_tokens(server) <= TOKENS * 1.05


def test_processes_share_a_cluster(upstream: FakeUpstream, program: str, tmp_path: Path) -> None:
    upstream.always(Answer(body=WHOLE))
    with Cluster(tmp_path) as cluster:
        workers = [start(upstream, cluster.url, 50) for _ in range(2)]
        count = sum(map(served, workers))
        assert 50 <= count <= (TOKENS + 2 * 100) // 100
        assert cluster.keys("*:c") == []
        assert cluster.keys("*:h") == []
        node = cluster.node_of(money())
        assert count * COST <= spent(node) <= len(upstream.requests) * COST
        assert used_tokens(cluster.node_of(PREFIX + "one}:t")) <= TOKENS * 1.05
