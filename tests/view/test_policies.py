"""What the view tells of policies and of costs: decisions, levels, hit rates, money, no secret."""

from __future__ import annotations

import json
import random

import msgspec
import pytest
from click.testing import CliRunner

from llm_mesh_middleware import LLMPolicy, Mesh, MeshSettings
from llm_mesh_middleware._core.values.decision import Decision
from llm_mesh_middleware.cli import main
from llm_mesh_middleware.testing import FakeUpstream
from llm_mesh_middleware.view import MeshView
from llm_mesh_middleware.view._feeding.items import configured
from llm_mesh_middleware.view._feeding.policies import merge_policies
from llm_mesh_middleware.view._source import Source
from llm_mesh_middleware.view._watching.policies import Policies
from llm_mesh_middleware.view._watching.tally import Tally
from llm_mesh_middleware.view.values import Level, PolicyReport, Report, key_of
from tests.canaries import canary, leaks
from tests.canaries import watched as searched
from tests.conftest import Serve
from tests.rows import rows
from tests.view.conftest import VIP, Watched, provider, route


def calls(limited: Watched, *texts: str, key: str = "somebody's-key") -> None:
    with limited.mesh.attributes(team="blue"):
        for text in texts:
            limited.call(text, headers={"x-api-key": key})


def reported(limited: Watched) -> dict[tuple[str, str], PolicyReport]:
    return {(each.kind, each.item): each for each in limited.hub.report().policies}


def test_items_tell_what_they_have_decided_and_their_levels(limited: Watched) -> None:
    calls(limited, "one", "two", "one", "mail ann@example.org")
    found = reported(limited)
    assert found["cache", "cache"].counts == {"miss": 3, "hit": 1}
    assert found["guard", "people"].counts == {"masked": 1}
    hourly = found["tokens", "hourly"]
    assert (hourly.policy, sum(hourly.counts.values())) == ("default/team", 3)
    [level] = hourly.levels
    assert (level.by, level.of) == (("blue",), 1000)
    assert 0 < level.left < 1000
    budget = found["budget", "money"]
    assert (budget.currency, budget.levels[0].of) == ("USD", 1.0)


def test_a_header_that_is_counted_by_is_masked(limited: Watched) -> None:
    key = canary("a key that the mesh does not know")
    calls(limited, "one", key=key)
    found = reported(limited)
    assert found["requests", "keyed"].levels[0].by == ("***",)
    assert leaks(msgspec.json.encode(limited.hub.report())) == set()


def test_a_call_has_its_cost_and_the_policies_that_spoke(limited: Watched) -> None:
    calls(limited, "one")
    call = limited.hub.report().calls[-1]
    assert call.cost == "0.0004 USD"
    spoken = {(each.kind, each.item): each.decision for each in call.policies}
    assert spoken["tokens", "hourly"] == "allowed"
    assert spoken["cache", "cache"] == "miss"
    snapshot = Source(limited.mesh, limited.hub).take()
    [edge] = snapshot.edges.values()
    assert edge.costs == {"USD": pytest.approx(0.0004)}
    assert key_of("default/team", "hourly", "tokens") in snapshot.policies


def test_the_terminal_shows_levels_and_costs(limited: Watched, serve: Serve) -> None:
    url = f"http://127.0.0.1:{serve(MeshView(limited.mesh, authorize=lambda scope: True))}/"
    calls(limited, "two", "two")
    for options in ([], ["--json"]):
        done = CliRunner().invoke(main, ["status", url, *options])
        searched("the status", done.output)
        assert "hourly" in done.output
    found = json.loads(done.output)["policies"][key_of("default/team", "cache", "cache")]
    assert found["counts"] == {"miss": 1, "hit": 1}


def test_items_that_nobody_has_asked_are_shown_untouched(limited: Watched) -> None:
    snapshot = Source(limited.mesh, limited.hub).take()
    found = {(each.kind, each.item): each for each in snapshot.policies.values()}
    assert {(kind, item): each.full for (kind, item), each in found.items()} == {
        ("tokens", "hourly"): 1000,
        ("requests", "keyed"): 3,
        ("budget", "money"): 1,
        ("guard", "people"): 0,
        ("cache", "cache"): 0,
    }
    assert [each for each in found.values() if each.counts or each.levels] == []
    assert {item: each.says for (_, item), each in found.items()} == {
        "hourly": "1,000 per 1 h, for each attribute:team",
        "keyed": "3 per 1 h, for each header:x-api-key (shadow)",
        "money": "per day, for all together",
        "people": "mask",
        "cache": "kept for 1 h, shared by all",
    }


def test_items_go_with_their_configuration_and_keep_what_they_have_decided(
    limited: Watched,
) -> None:
    source = Source(limited.mesh, limited.hub)
    calls(limited, "one")
    hourly = source.take().policies[key_of("default/team", "hourly", "tokens")]
    assert (hourly.full, sum(hourly.counts.values()), len(hourly.levels)) == (1000, 1, 1)
    gone = PolicyReport("default/old", "hourly", "tokens", "", {"allowed": 2}, [])
    untouched = PolicyReport("default/new", "hourly", "tokens", "", {}, [], full=9, says="9")
    reports = [report(1, allowed=3), Report(2, 0, [], [], [], {}, [gone])]
    merged = merge_policies(reports, {"new": untouched})
    assert list(merged.values()) == [untouched, *reports[0].policies, gone]


LIMITS_OF_ATTEMPTS = [
    {"name": "each", "tokens": 60, "per": "1m", "by": ["provider"]},
    {"name": "slots", "concurrency": 4},
]


def test_limits_of_attempts_are_configured_items_too(
    upstreams: tuple[FakeUpstream, FakeUpstream],
) -> None:
    a, _ = upstreams
    policy = LLMPolicy.model_validate(
        {"metadata": {"name": "team"}, "spec": {"limits": LIMITS_OF_ATTEMPTS}}
    )
    documents = (provider("a", a.url), route({**VIP, "matches": []}), policy)
    mesh = Mesh(documents, settings=MeshSettings())
    found = {each.item: each for each in configured(mesh._table).values()}
    assert (found["each"].full, found["each"].says) == (60, "60 per 1 min, for each provider")
    assert (found["slots"].full, found["slots"].says) == (4, "4 at a time, for all together")
    mesh.close()


def report(worker: int, *levels: Level, **counts: int) -> Report:
    told = PolicyReport("default/team", "hourly", "tokens", "", counts, list(levels))
    return Report(worker, 0, [], [], [], {}, [told])


def test_decisions_of_workers_add_up_and_the_newest_level_counts() -> None:
    old, new = Level(("blue",), 100, 90, 1), Level(("blue",), 100, 40, 2)
    other = Level(("red",), 100, 10, 1)
    reports = [report(1, new, allowed=3), report(2, old, other, allowed=2, refused=1)]
    [merged] = merge_policies(reports, {}).values()
    assert merged.counts == {"allowed": 5, "refused": 1}
    assert merged.levels == [other, new]


def test_what_is_kept_of_policies_is_bounded() -> None:
    policies = Policies()
    for number in range(1000):
        item = Decision("p", f"item-{number}", "tokens", "allowed", of=9, left=number % 9)
        policies.add(item, (), 1)
        for decision in ("allowed", f"odd-{number}"):
            one = Decision("p", "one", "tokens", decision, of=9, left=number % 9)
            policies.add(one, (f"by-{number}",), 1)
    found = policies.reports(1)
    assert len(found) == 500
    [one] = [each for each in found if each.item == "one"]
    assert len(one.counts) == 16
    assert len(one.levels) == 8
    assert len(msgspec.json.encode(found)) < 2**20


@rows("seed", range(5))
def test_a_tally_has_the_last_five_minutes(seed: int) -> None:
    drawn = random.Random(seed)
    tally, added = Tally(), []
    second = 1000
    for _ in range(500):
        second += drawn.randrange(7)
        amount = drawn.randrange(9)
        tally.add(second, amount)
        added.append((second, amount))
        first = (second // 10 - 29) * 10
        assert tally.total(second) == sum(n for at, n in added if at >= first)
    assert tally.total(second + 400) == 0
