"""Requests with the same key go to the same backend, and few of them move when weights do."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import pytest

from llm_mesh_middleware._core.balance.backends import Backend
from llm_mesh_middleware._core.balance.sticky import Sticky
from llm_mesh_middleware._core.balance.weighted import Weighted
from llm_mesh_middleware._core.routing.table import RouteRule
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from tests.core.tables import candidates
from tests.resilience.meshes import HOST, provider, route, table
from tests.rows import rows

BY_USER = Sticky("attribute", "user")
KEYS = [f"user-{number}@example" for number in range(10_000)]


def backends(**weights: int) -> Sequence[Backend]:
    """Backends of one tier, by provider name and weight."""
    return rule(weights).backends.tiers[0]


def rule(weights: Mapping[str, int], **fields: object) -> RouteRule:
    refs = [{"providerHost": f"{name}.example", "weight": w} for name, w in weights.items()]
    host = table(*map(provider, weights), route(*refs, **fields)).find(HOST.encode())
    assert host is not None
    return host.rules[0]


def never() -> float:
    raise AssertionError("chance decides nothing where there is a key")


def placed(tier: Sequence[Backend], key: str) -> str:
    """The provider of a key."""
    (place,) = places(tier, [key])
    return place


def places(tier: Sequence[Backend], keys: Iterable[str] = KEYS) -> list[str]:
    """The provider of each key."""
    well = candidates(tier)
    calls = (asked(attributes={"user": key}) for key in keys)
    return [BY_USER.pick(well, each, never, 0.0).backend.upstream.provider for each in calls]


@rows(
    "weights",
    [
        {"a": 50, "b": 50},
        {"a": 90, "b": 10},
        {"a": 1, "b": 2, "c": 7},
        {"a": 1, "b": 1, "c": 1, "d": 1},
        {"a": 99, "b": 1},
        {"a": 2147483647, "b": 2147483647},
    ],
)
def test_keys_spread_within_a_point_of_the_weights(weights: dict[str, int]) -> None:
    counted = Counter(places(backends(**weights)))
    for name, weight in weights.items():
        share = weight / sum(weights.values())
        assert counted[name] / len(KEYS) == pytest.approx(share, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("weights", [(90, 10), (50, 50), (1, 2, 7)])
def test_models_of_one_provider_share_the_keys_by_weight(weights: tuple[int, ...]) -> None:
    refs = [
        {"providerHost": "a.example", "weight": weight, "model": str(number)}
        for number, weight in enumerate(weights)
    ]
    host = table(provider("a"), route(*refs)).find(HOST.encode())
    assert host is not None
    tier = host.rules[0].backends.tiers[0]
    well, calls = candidates(tier), (asked(attributes={"user": key}) for key in KEYS)

    counted = Counter(BY_USER.pick(well, each, never, 0.0).backend.occurrence for each in calls)

    for number, weight in enumerate(weights):
        assert counted[number] / len(KEYS) == pytest.approx(weight / sum(weights), abs=0.01)


def test_at_least_99_of_100_keys_stay_when_a_weight_moves_from_10_to_11() -> None:
    before, after = places(backends(a=90, b=10)), places(backends(a=90, b=11))
    moved = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
    assert 0 < len(moved) <= len(KEYS) // 100
    assert set(moved) == {("a", "b")}  # only towards the one that grew


@pytest.mark.slow
def test_when_a_backend_goes_only_its_own_keys_move() -> None:
    before, after = places(backends(a=3, b=3, c=4)), places(backends(a=3, b=3))
    moved = Counter(old for old, new in zip(before, after, strict=True) if old != new)
    assert set(moved) == {"c"}
    gained = Counter(new for old, new in zip(before, after, strict=True) if old == "c")
    assert gained["a"] / moved["c"] == pytest.approx(0.5, abs=0.02)


def test_when_a_backend_is_added_keys_move_only_to_it() -> None:
    before, after = places(backends(a=3, b=3)), places(backends(a=3, b=3, c=4))
    moved = Counter(new for old, new in zip(before, after, strict=True) if old != new)
    assert set(moved) == {"c"}
    assert moved["c"] / len(KEYS) == pytest.approx(0.4, abs=0.01)


def test_the_order_in_the_manifest_does_not_matter() -> None:
    assert places(backends(a=3, b=5, c=7)) == places(backends(c=7, a=3, b=5))


def test_a_key_is_placed_alike_in_every_process_and_version() -> None:
    tier = backends(a=50, b=50)
    assert "".join(placed(tier, key) for key in KEYS[:16]) == "abbbbbaaaabbbaaa"


@rows("key", ["", "ü", "鍵", "\0", chr(0xDC80), chr(0xD800), "x" * 100_000])
def test_any_text_can_be_a_key(key: str) -> None:
    tier = backends(a=1, b=1, c=1)
    assert len({placed(tier, key) for _ in range(5)}) == 1


def asked(*fields: tuple[str, str], attributes: Mapping[str, str] | None = None) -> ClientRequest:
    raw = [(name.encode(), value.encode()) for name, value in fields]
    return ClientRequest("POST", "/", Headers(raw), b"{}", attributes or {})


def test_a_header_is_the_key_whatever_the_attributes_are() -> None:
    sticky = rule({"a": 1, "b": 1}, stickyBy={"header": "x-user"}).balancer
    assert isinstance(sticky, Sticky)
    assert sticky.key(asked(("x-user", "u1"), attributes={"x-user": "no"})) == "u1"
    assert sticky.key(asked(("x-user", "u1"), ("x-user", "u2"))) == "u1, u2"
    assert sticky.key(asked(("x-user", ""))) == ""


def test_an_attribute_is_the_key_whatever_the_headers_are() -> None:
    sticky = rule({"a": 1, "b": 1}, stickyBy={"attribute": "user"}).balancer
    assert isinstance(sticky, Sticky)
    assert sticky.key(asked(("user", "no"), attributes={"user": "u1"})) == "u1"
    assert sticky.key(asked(("user", "no"))) is None


def test_a_request_without_the_key_is_placed_by_chance() -> None:
    sticky = rule({"a": 1, "b": 3}, stickyBy={"header": "x-user"})
    well, draw = candidates(sticky.backends.tiers[0]), random.Random(11).random
    picked = (sticky.balancer.pick(well, asked(), draw, 0.0) for _ in range(10_000))
    counted = Counter(each.backend.upstream.provider for each in picked)
    assert counted["b"] / 10_000 == pytest.approx(0.75, abs=0.01)


def test_without_sticky_by_nothing_sticks() -> None:
    assert rule({"a": 1, "b": 1}).balancer == Weighted()
