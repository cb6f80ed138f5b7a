"""Ten thousand requests against providers that die, flap and refuse, on a clock that jumps."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from itertools import pairwise

import pytest
from msgspec.structs import replace

from llm_mesh_middleware._core.routing.table import RoutingTable
from tests.canaries import canary
from tests.conftest import slow
from tests.core.health import health_of
from tests.resilience.meshes import provider, route, table
from tests.resilience.simulation import Act, Behaviour, Simulation

REQUESTS, EVERY_S = 10_000, 0.012  # two minutes
HALF, FEWER, SELDOM_S = 5_000, 2_000, 0.024  # two minutes and less, where no probe is missed
DIES, RECOVERS = 20.0, 60.0


def fine(now: float) -> Act:
    return Act()


def dead(since: float = DIES, until: float = RECOVERS, act: Act | None = None) -> Behaviour:
    return lambda now: (act or Act(503)) if since <= now < until else Act()


def split(weights: dict[str, int], **spec: object) -> RoutingTable:
    """Providers of one tier."""
    refs = [{"providerHost": f"{name}.example", "weight": w} for name, w in weights.items()]
    return table(*(provider(name, None, **spec) for name in weights), route(*refs))


def waves(times: list[float], gap_s: float = 1.0) -> list[list[float]]:
    """The calls of one provider, parted where it was left alone."""
    parted = [times[:1]]
    for sooner, later in pairwise(times):
        if later - sooner > gap_s:
            parted.append([])
        parted[-1].append(later)
    return parted


@pytest.mark.parametrize(
    ("act", "probes", "seed"),  # a seed with which all probes are begun before the first fails
    [(Act(0), 3, 3), *slow((Act(503), 1, 1), (Act(429), 2, 2))],
    ids=str,
)
def test_a_dead_provider_is_ejected_for_longer_and_longer_probed_and_readmitted(
    act: Act, probes: int, seed: int
) -> None:
    weights = {"a": 50, "b": 30, "c": 20}
    ejection = {"outlierDetection": {"halfOpenRequests": probes}}
    refs = [{"providerHost": f"{name}.example", "weight": w} for name, w in weights.items()]
    routes = table(*(provider(name, None, **ejection) for name in weights), route(*refs))
    behaviours = {"a": dead(act=act), "b": fine, "c": fine}

    done = Simulation(routes, behaviours, seed=seed).run(REQUESTS, every_s=EVERY_S)

    # Nobody has noticed.
    assert Counter(one.status for one in done.served) == {200: REQUESTS}
    # It is ejected for 5, 10, 20 and 40 s, with exactly the probes in between.
    before, *probed, back = waves(done.calls_to("a"))
    failed = [at for at in before if at >= DIES]
    assert 5 <= len(failed) <= 5 + 0.05 / EVERY_S  # and those that were under way
    assert [len(wave) for wave in probed] == [probes] * 3
    starts = [before[-1], *(wave[0] for wave in probed), back[0]]
    for length, (ejected, next_call) in zip((5, 10, 20, 40), pairwise(starts), strict=True):
        assert next_call - ejected == pytest.approx(length, abs=0.2)
    # Weights hold: of all before, of the others in between, of all afterwards.
    for name, weight in weights.items():
        assert done.share(name, 0, DIES) == pytest.approx(weight / 100, abs=0.03)
        assert done.share(name, back[0] + 0.2, 120) == pytest.approx(weight / 100, abs=0.03)
    assert done.share("b", 26, 94) == pytest.approx(0.6, abs=0.02)
    assert done.share("c", 26, 94) == pytest.approx(0.4, abs=0.02)
    # A failed call costs one more at a provider known to be good, never more.
    lost = sum(call.status != 200 for call in done.calls)
    assert len(done.calls) == REQUESTS + lost
    assert Counter(one.headers["x-llm-mesh-attempts"] for one in done.served) == {
        "1": REQUESTS - lost,
        "2": lost,
    }


def test_a_flapping_provider_is_left_alone_for_longer_not_taken_back_every_time() -> None:
    def flapping(now: float) -> Act:
        return Act(503 if now % 8 < 4 else 200)

    routes = split({"a": 50, "b": 50})
    done = Simulation(routes, {"a": flapping, "b": fine}).run(FEWER, every_s=SELDOM_S)
    assert Counter(one.status for one in done.served) == {200: FEWER}
    changes = len(waves(done.calls_to("a"))) - 1
    assert changes <= 4  # it has flapped six times
    assert sum(call.status == 503 for call in done.calls) <= 4 * 9


def test_a_provider_that_fails_now_and_then_is_never_ejected() -> None:
    count = iter(range(10**9))

    def shaky(now: float) -> Act:
        return Act(503 if next(count) % 3 == 0 else 200)

    routes = split({"a": 50, "b": 50})
    done = Simulation(routes, {"a": shaky, "b": fine}).run(FEWER, every_s=SELDOM_S)
    assert Counter(one.status for one in done.served) == {200: FEWER}
    called = len(done.calls_to("a"))
    assert called / FEWER == pytest.approx(0.5, abs=0.02)
    assert len(done.calls) == FEWER + sum(call.status != 200 for call in done.calls)


def test_a_provider_with_a_rate_limit_is_used_as_far_as_it_goes() -> None:
    """Ten calls a second and then 429 with a wish; the sibling takes the rest."""
    granted: Counter[int] = Counter()

    def limited(now: float) -> Act:
        granted[int(now)] += 1
        if granted[int(now)] <= 10:
            return Act()
        return Act(429, f"{1 - now % 1:.3f}")

    routes = split({"a": 50, "b": 50})
    done = Simulation(routes, {"a": limited, "b": fine}).run(FEWER, every_s=SELDOM_S)
    assert Counter(one.status for one in done.served) == {200: FEWER}
    refused = sum(call.status == 429 for call in done.calls)
    served = sum(call.status == 200 and call.provider == "a" for call in done.calls)
    seconds = FEWER * SELDOM_S
    assert served > 0.9 * 10 * seconds
    assert refused < 10 * seconds  # it would be more than thirty a second


def test_without_a_sibling_a_dead_primary_is_carried_by_the_next_tier() -> None:
    routes = table(
        provider("a"),
        provider("b"),
        route({"providerHost": "a.example"}, {"providerHost": "b.example", "priority": 1}),
    )
    done = Simulation(routes, {"a": dead(), "b": fine}).run(HALF, every_s=SELDOM_S)
    assert Counter(one.status for one in done.served) == {200: HALF}
    assert done.share("a", 0, DIES) == 1.0
    assert done.share("b", DIES, 94) == 1.0
    _, *probed, back = waves(done.calls_to("a"))
    assert [len(wave) for wave in probed] == [1, 1, 1]
    assert done.share("a", back[0] + 0.2, 120) == 1.0


def test_when_no_provider_can_be_reached_the_answer_is_503_with_the_time_to_come_back() -> None:
    routes = split({"a": 50, "b": 50})
    gone = dead(act=Act(0))
    done = Simulation(routes, {"a": gone, "b": gone}).run(HALF, every_s=SELDOM_S)
    unserved = [one for one in done.served if one.status != 200]
    assert {one.status for one in unserved} == {502, 503}
    own = [one for one in unserved if "x-llm-mesh-provider" not in one.headers]
    assert len(own) > 0.9 * len(unserved)
    waits = {int(one.headers["retry-after"]) for one in own}
    assert min(waits) >= 1
    assert max(waits) <= 40
    called = sorted(call.at for call in done.calls)
    for one in own:  # who comes back then finds that a provider has been probed
        back = one.at + int(one.headers["retry-after"])
        probed = bisect_left(called, one.at) < bisect_right(called, back + 2 * SELDOM_S)
        assert back - one.at == 1 or probed
    # While all are ejected nobody is called: in forty seconds of it, only the probes are.
    during = [call for call in done.calls if DIES + 1 <= call.at < RECOVERS]
    assert len(during) == 6


def test_when_every_provider_is_ejected_each_request_still_gets_its_one_attempt() -> None:
    def answers_some(now: float) -> Act:
        return Act(200 if now >= DIES and int(now * 40) % 4 == 0 else 503)

    routes = split({"a": 50, "b": 50})
    done = Simulation(routes, {"a": answers_some, "b": answers_some}).run(FEWER, every_s=SELDOM_S)
    before = [one for one in done.served if 1 <= one.at < DIES]
    assert {one.status for one in before} == {503}
    assert {one.headers["x-llm-mesh-attempts"] for one in before} <= {"1", "2"}
    during = [call for call in done.calls if 1 <= call.at < DIES]
    assert len(during) <= 1.05 * len(before)  # one each, and what follows a failed probe
    served = [one for one in done.served if one.at >= DIES and one.status == 200]
    assert len(served) > 300  # every fourth, although both are ejected for most of the time


def test_the_same_seed_is_the_same_run() -> None:
    routes = split({"a": 50, "b": 50})
    runs = [
        Simulation(routes, {"a": dead(2, 6), "b": fine}, seed=9).run(1000, every_s=SELDOM_S)
        for _ in range(2)
    ]
    assert runs[0].served == runs[1].served


def test_what_is_known_of_a_provider_survives_a_reload_unless_it_has_changed() -> None:
    behaviours = {"a": dead(0, 1e9), "b": fine}
    old = split({"a": 50, "b": 50})
    first = Simulation(old, behaviours).run(100, every_s=EVERY_S)
    called = len(first.calls_to("a"))
    assert called >= 5

    def after(routes: RoutingTable) -> int:
        """Calls to the dead provider within the second after a reload."""
        again = Simulation(routes, behaviours, state=first.state)
        again.now = first.now
        return len(again.run(80, every_s=EVERY_S).calls_to("a"))

    # The same documents again, another weight, another rule: it stays ejected.
    assert after(split({"a": 50, "b": 50})) == 0
    assert after(split({"a": 90, "b": 10})) == 0
    # Another key is no other provider.
    config = {"model": "a-model", "apiKey": canary("another"), "headers": {"x-a": "1"}}
    rotated = {"configs": {"defaultConfig": {"openAIConfig": config}}}
    refs = [{"providerHost": "a.example"}, {"providerHost": "b.example"}]
    assert after(table(provider("a", None, **rotated), provider("b"), route(*refs))) == 0
    # Another address, path or detection is.
    moved = provider("a", None, endpoint="http://127.0.0.1:9")
    assert after(table(moved, provider("b"), route(*refs))) >= 5


def test_what_is_known_of_one_provider_says_nothing_of_another() -> None:
    routes = split({"a": 1, "b": 1, "c": 1})
    done = Simulation(routes, {"a": dead(0, 1e9), "b": fine, "c": fine}).run(600, every_s=EVERY_S)
    host = routes.find(b"llm")
    assert host is not None
    upstreams = {b.upstream.provider: b.upstream for b in host.rules[0].backends}
    states = {
        n: health_of(done.state.health, u).status(done.now).state for n, u in upstreams.items()
    }
    assert states["b"] == states["c"] == "healthy"
    other = replace(upstreams["a"], identity=replace(upstreams["a"].identity, namespace="other"))
    assert health_of(done.state.health, other).status(done.now).ejections == 0
    assert health_of(done.state.health, upstreams["a"]).status(done.now).ejections >= 1
