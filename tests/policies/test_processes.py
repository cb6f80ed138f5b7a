"""Four processes with 50 calls in flight each share a store; clients leave, and one is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from llm_mesh_middleware.stores import BucketClaim, Reserve, SlotClaim, open_store
from llm_mesh_middleware.testing import (
    Answer,
    FakeUpstream,
    Gate,
    chat_completion,
    token_usage,
)
from tests.policies.cluster import Cluster
from tests.policies.servers import Server
from tests.policies.worker import OUTPUT, REQUEST_S, TOKENS
from tests.resilience.meshes import key_of
from tests.waiting import until

pytestmark = pytest.mark.slow

WHOLE = chat_completion("hello", usage=token_usage(20, OUTPUT))
USED = 20 + OUTPUT
CALLERS = 50
PREFIX = "llm-mesh:"
BUCKET, SLOTS = "{default/team/one}:t", "{default/team/one}:c"
COST = OUTPUT * 1000  # nano-units of a call
# The longest that a request may take, and the grace of a slot and of money.
SLOT_S, MONEY_S = REQUEST_S + 10, REQUEST_S + 60
EPOCH_S = 1_735_689_600


class Shared:
    """A store as it looks from outside; `client(key)` is that of the key's node."""

    def __init__(self, url: str, client: Callable[[str], Any]) -> None:
        self.url = url
        self._client = client

    def used_tokens(self) -> float:
        full_at = float(self._client(PREFIX + BUCKET).get(PREFIX + BUCKET) or 0)
        return (full_at / 1e6 + EPOCH_S - time.time()) * TOKENS / 3600

    def slots(self) -> dict[bytes, float]:
        """The slots that are taken, each with the seconds until it is free by itself."""
        return self._ends(PREFIX + SLOTS)

    @property
    def money(self) -> str:
        return f"{PREFIX}{{default/team/money}}:m:{datetime.now(UTC).year}"

    def spent(self) -> int:
        return int(self._client(self.money).hget(self.money, "s") or 0)

    def held(self) -> dict[bytes, float]:
        """The money that is reserved, each with the seconds until it is free by itself."""
        return self._ends(self.money + ":h")

    def _ends(self, key: str) -> dict[bytes, float]:
        now = time.time() - EPOCH_S
        found = self._client(key).zrange(key, 0, -1, withscores=True)
        return {member: until / 1e6 - now for member, until in found}


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream(tls=False, api_key=key_of("primary")) as upstream:
        yield upstream


@pytest.fixture(params=["server", "cluster"])
def shared(request: pytest.FixtureRequest, program: str, tmp_path: Path) -> Iterator[Shared]:
    if request.param == "server":
        server = Server()
        yield Shared(server.url, lambda key: server.client)
        server.stop()
    else:
        with Cluster(tmp_path) as cluster:
            yield Shared(cluster.url, lambda key: cluster.node_of(key).client)


def start(upstream: FakeUpstream, store: Shared) -> subprocess.Popen[str]:
    arguments = (upstream.url, store.url, str(CALLERS))
    program = [sys.executable, "-m", "tests.policies.worker", *arguments]
    return subprocess.Popen(program, stdout=subprocess.PIPE, text=True)


def served(worker: subprocess.Popen[str]) -> int:
    return int(worker.communicate(timeout=180)[0])


def test_everything_is_settled_but_what_a_killed_worker_held(
    upstream: FakeUpstream, shared: Shared
) -> None:
    gate, began = Gate(), time.monotonic()
    upstream.always(Answer(body=WHOLE, delay=gate))
    killed, *others = [start(upstream, shared) for _ in range(4)]
    try:
        until(lambda: len(upstream.requests) >= 40)
        killed.send_signal(signal.SIGKILL)
        killed.communicate(timeout=10)
        upstream.always(Answer(body=WHOLE))
        gate.open()
        count = sum(map(served, others))
    finally:
        for worker in (killed, *others):
            worker.kill()

    left, held = shared.slots(), shared.held()
    # Whatever is left is the killed worker's, and ends by itself.
    owners = {name.partition(b"-")[0] for name in (*left, *held)}
    assert len(owners) <= 1
    assert len(left) <= 3 * CALLERS  # some had left, and were not settled yet
    assert all(end <= SLOT_S for end in left.values())
    assert all(end <= MONEY_S for end in held.values())
    # The estimate is too high at first, so what is admitted in excess is that of the input alone.
    refilled = (time.monotonic() - began) * TOKENS / 3600
    assert count * USED <= TOKENS + refilled + 4 * USED
    assert shared.used_tokens() <= TOKENS * 1.05
    assert count * USED <= shared.used_tokens() + refilled + USED
    assert count * COST <= shared.spent() <= len(upstream.requests) * COST


def test_slots_of_a_killed_worker_are_free_again(upstream: FakeUpstream, shared: Shared) -> None:
    upstream.always(Answer(body=WHOLE))
    assert served(start(upstream, shared)) > 0
    assert shared.slots() == shared.held() == {}
    store = open_store(shared.url, timeout_s=10, prefix="llm-mesh")
    dead = SlotClaim(SLOTS, 2, 300_000)  # as of a process that is not there any more
    assert [store.ask(Reserve((dead,)), None).is_granted for _ in range(3)] == [True, True, False]
    until(lambda: store.ask(Reserve((SlotClaim(SLOTS, 2, 1),)), None).is_granted, within_s=10)
    store.close()  # type: ignore[attr-defined]


def test_the_rate_is_exact_in_the_long_run(shared: Shared) -> None:
    store = open_store(shared.url, timeout_s=10, prefix="llm-mesh")
    # A hundred a second, of which none are there at first; one is taken as soon as it may be.
    second = 1_000_000
    one = Reserve((BucketClaim("{rate}:t", second // 100, second),))
    assert store.ask(Reserve((BucketClaim("{rate}:t", second, second),)), None).is_granted
    began, admitted, is_granted = time.monotonic(), 0, True
    while (passed_s := time.monotonic() - began) < 3 or is_granted:
        is_granted = store.ask(one, None).is_granted
        admitted += is_granted
    assert abs(admitted - passed_s * 100) <= passed_s + 1
    store.close()  # type: ignore[attr-defined]
