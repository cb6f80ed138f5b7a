"""Balancing by latency, load, price and headroom, on a clock that jumps."""

from __future__ import annotations

import random
import threading

import pytest
from msgspec.structs import replace as struct_replace

from llm_mesh_middleware._core.balance.balancer import Candidate
from llm_mesh_middleware._core.balance.scored import Scored
from llm_mesh_middleware._core.explaining.explainer import explain_request
from llm_mesh_middleware._core.flow.state import MeshState
from llm_mesh_middleware._core.http.forwarding import ForwardPolicy
from llm_mesh_middleware._core.provider.latency import TIME_CONSTANT_S, PeakLatency
from llm_mesh_middleware._core.provider.quota import Quota
from llm_mesh_middleware._core.provider.registry import HealthRegistry
from llm_mesh_middleware._core.routing.table import RoutingTable
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._engine.ports.memory import MemoryStore
from tests.core.tables import request, virtual_host
from tests.resilience.meshes import HOST, provider, route, table
from tests.resilience.simulation import Act, Behaviour, Simulation
from tests.rows import rows

SLOW_UNTIL = 60.0


def takes(seconds: float) -> Behaviour:
    return lambda now: Act(seconds=seconds)


def balanced(
    policy: str, weights: dict[str, int], specs: dict[str, dict[str, object]] | None = None
) -> RoutingTable:
    """Providers of one tier under a policy."""
    refs = [{"providerHost": f"{name}.example", "weight": w} for name, w in weights.items()]
    providers = [provider(name, None, **(specs or {}).get(name, {})) for name in weights]
    return table(*providers, route(*refs, balance={"policy": policy}))


@pytest.mark.slow
@pytest.mark.parametrize("every_s", [0.05, 1.0])
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("names", ["ab", "abcd"])
def test_a_backend_of_three_times_the_latency_gets_less_than_15_per_cent(
    names: str, seed: int, every_s: float
) -> None:
    behaviours = {name: takes(0.2) for name in names} | {"a": takes(0.6)}
    routes = balanced("latency", dict.fromkeys(names, 1))
    simulation = Simulation(routes, behaviours, seed=seed).run(1000, every_s=every_s)
    assert 0 < simulation.share("a", 5 * every_s, 1e9) < 0.15


@pytest.mark.slow
@pytest.mark.parametrize("slow_s", [0.6, 2.0, 6.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_backend_that_recovers_has_its_share_within_three_time_constants(
    seed: int, slow_s: float
) -> None:
    behaviours = {
        "a": lambda now: Act(seconds=slow_s if now < SLOW_UNTIL else 0.2),
        "b": takes(0.2),
    }
    routes = balanced("latency", {"a": 1, "b": 1})
    simulation = Simulation(routes, behaviours, seed=seed).run(3_000, every_s=0.05)
    back = SLOW_UNTIL + 3 * TIME_CONSTANT_S
    assert simulation.share("a", 20.0, SLOW_UNTIL) < 0.15
    assert simulation.share("a", back, back + 60.0) > 0.35


@rows("policy", ["latency", "leastBusy", "cost", "headroom"])
def test_a_backend_of_weight_zero_is_never_drawn(policy: str) -> None:
    behaviours = {"a": takes(2.0), "b": takes(2.0), "never": takes(0.01)}
    routes = balanced(policy, {"a": 1, "b": 1, "never": 0})
    simulation = Simulation(routes, behaviours).run(500, every_s=0.05)
    assert simulation.calls_to("never") == []


@pytest.mark.parametrize(("weights", "low", "high"), [((1, 1), 0.4, 0.6), ((3, 1), 0.65, 0.85)])
def test_the_least_busy_share_by_weight_under_load(
    weights: tuple[int, int], low: float, high: float
) -> None:
    behaviours = {"a": takes(0.5), "b": takes(0.5)}
    routes = balanced("leastBusy", dict(zip("ab", weights, strict=True)))
    simulation = Simulation(routes, behaviours).run(1500, every_s=0.01)
    assert low < simulation.share("a", 1.0, 1e9) < high


def test_the_least_busy_go_round_a_backend_that_hangs() -> None:
    behaviours = {"a": takes(20.0), "b": takes(0.1), "c": takes(0.1)}
    routes = balanced("leastBusy", {"a": 1, "b": 1, "c": 1})
    simulation = Simulation(routes, behaviours).run(1500, every_s=0.02)
    assert simulation.share("a", 1.0, 1e9) < 0.05


def price(amount: str, currency: str = "USD") -> dict[str, object]:
    return {"prices": [{"currency": currency, "perMillion": {"input": amount, "output": amount}}]}


@rows(
    ("specs", "cheapest"),
    [
        ({"a": price("2"), "b": price("1"), "c": price("3")}, "b"),
        ({"a": price("2"), "c": price("3")}, "a"),  # b has no price
        ({"a": price("0.5"), "b": price("0.4"), "c": price("0.6")}, "b"),
    ],
)
def test_calls_go_to_the_cheapest_and_while_it_is_ejected_to_the_next(
    specs: dict[str, dict[str, object]], cheapest: str
) -> None:
    behaviours: dict[str, Behaviour] = {name: takes(0.1) for name in "abc"}
    routes = balanced("cost", dict.fromkeys("abc", 1), specs)
    simulation = Simulation(routes, behaviours).run(500, every_s=0.05)
    assert simulation.share(cheapest, 0.0, 1e9) == 1.0
    behaviours[cheapest] = lambda now: Act(503)
    simulation = Simulation(routes, behaviours).run(500, every_s=0.05)
    assert {one.status for one in simulation.served} == {200}
    assert simulation.share(cheapest, 0.0, 1e9) == 0.0


def test_a_backend_that_returns_from_an_ejection_starts_slowly() -> None:
    behaviours = {
        "a": lambda now: Act(503, seconds=0.05) if now < 4.0 else Act(seconds=0.05),
        "b": takes(0.2),
    }
    routes = balanced("latency", {"a": 1, "b": 1})
    simulation = Simulation(routes, behaviours).run(4000, every_s=0.01)
    calls = simulation.calls_to("a", since=4.0)
    back = calls[0]
    first = len([at for at in calls if at < back + 3.0])
    later = len([at for at in calls if back + 20.0 <= at < back + 23.0])
    assert later > 0
    assert first < later * 0.6


@pytest.mark.parametrize("seed", [1, 2])
def test_eight_workers_that_know_nothing_of_one_another_do_not_herd(seed: int) -> None:
    names = "abcdefgh"
    busy = dict.fromkeys(names, 0)
    routes = balanced("latency", dict.fromkeys(names, 1))
    for worker in range(8):
        state = MeshState(threading.Lock, MemoryStore())
        behaviours = {name: takes(0.2 + 0.01 * index) for index, name in enumerate(names)}
        simulation = Simulation(routes, behaviours, seed=seed * 100 + worker, state=state)
        simulation.run(200, every_s=0.05)
        for name in names:
            busy[name] += len(simulation.calls_to(name))
    assert max(busy.values()) < 1.5 * sum(busy.values()) / len(names)


def test_explain_shows_the_scores() -> None:
    routes = balanced("cost", {"a": 1, "b": 1}, {"a": price("2"), "b": price("1")})
    asked = struct_replace(
        request(path="/v1/chat/completions", body='{"messages":[],"max_tokens":100}'), host=HOST
    )
    told = explain_request(routes, asked, forward=ForwardPolicy())
    assert [backend.score for backend in told.backends] == [216_000.0, 108_000.0]
    assert "score 1.08e+05" in told.to_text()


def test_a_failure_counts_as_slow_however_quick_it_was() -> None:
    latency = PeakLatency()
    latency.add(0.2, 0.0)
    latency.add_failure(0.001, 0.0)
    assert latency.at(0.0) == pytest.approx(0.4)


def test_an_average_is_forgotten_when_nothing_came_for_long() -> None:
    latency = PeakLatency()
    assert latency.at(5.0) is None
    latency.add(9.0, 5.0)
    assert latency.at(5.0 + TIME_CONSTANT_S) == pytest.approx(9.0 * 0.3679, rel=1e-3)
    assert latency.at(5.1 + 2 * TIME_CONSTANT_S) is None


def quota_of(*fields: tuple[str, str]) -> Quota:
    quota = Quota()
    headers = Headers([(name.encode(), value.encode()) for name, value in fields])
    quota.learn(headers, 100.0, lambda: 1_800_000_000.0)
    return quota


LIMIT, LEFT, RESET = (f"x-ratelimit-{part}-requests" for part in ("limit", "remaining", "reset"))
TOKENS = "anthropic-ratelimit-input-tokens"


@rows(
    ("fields", "at", "left"),
    [
        (((LIMIT, "100"), (LEFT, "40"), (RESET, "60s")), 100.0, 0.4),
        (((LIMIT, "100"), (LEFT, "40"), (RESET, "60s")), 130.0, 0.7),
        (((LIMIT, "100"), (LEFT, "40"), (RESET, "1m0s")), 160.0, 1.0),
        (((LIMIT, "100"), (LEFT, "0"), (RESET, "120ms")), 100.06, 0.5),
        (((LIMIT, "100"), (LEFT, "0"), (RESET, "20")), 110.0, 0.5),
        (((LIMIT, "100"), (LEFT, "0"), (RESET, "rubbish")), 130.0, 0.5),
        (((LIMIT, "100"), (LEFT, "0")), 130.0, 0.5),
        (((LIMIT, "-1"), (LEFT, "-1")), 100.0, None),
        (((LIMIT, "0"), (LEFT, "0")), 100.0, None),
        (((LEFT, "5"),), 100.0, None),
        ((), 100.0, None),
        (
            (
                (f"{TOKENS}-limit", "1000"),
                (f"{TOKENS}-remaining", "500"),
                (f"{TOKENS}-reset", "2027-01-15T08:00:10Z"),
            ),
            105.0,
            0.75,
        ),
    ],
)
def test_headroom_is_read_from_the_headers_and_comes_back_until_the_reset(
    fields: tuple[tuple[str, str], ...], at: float, left: float | None
) -> None:
    assert quota_of(*fields).remaining(at, 0) == (left if left is None else pytest.approx(left))


def test_headroom_picks_whom_more_is_left_of() -> None:
    (rule,) = virtual_host(balanced("headroom", {"a": 1, "b": 1}), HOST).rules
    registry = HealthRegistry(threading.Lock)
    a, b = (
        Candidate(backend, endpoint, registry.of(backend.upstream, endpoint))
        for backend in rule.backends
        for endpoint in backend.upstream.endpoints.now()
    )
    a.health.quota = quota_of((LIMIT, "100"), (LEFT, "90"), (RESET, "60s"))
    b.health.quota = quota_of((LIMIT, "100"), (LEFT, "60"), (RESET, "60s"))
    balancer, draw = Scored("headroom"), random.Random(1).random
    assert all(balancer.pick((a, b), request(), draw, 100.0) is a for _ in range(50))
