"""Shares of backends: proportions, what a missing weight means, and who is never picked."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.core.tables import compiled, pick, provider, request, route, table, virtual_host
from tests.rows import rows

NAMES = ("a.example", "b.example", "c.example")

# Weights as written, None for a missing one; the shares that must come out.
WEIGHTS = [
    ((50, 50), (0.5, 0.5)),
    ((1, 3), (0.25, 0.75)),
    ((3, 1), (0.75, 0.25)),
    ((1, 1, 1), (1 / 3, 1 / 3, 1 / 3)),
    ((1, 2, 7), (0.1, 0.2, 0.7)),
    ((99, 1), (0.99, 0.01)),
    ((200, 300), (0.4, 0.6)),
    ((2147483647, 2147483647), (0.5, 0.5)),
    ((0, 5), (0, 1)),
    ((5, 0), (1, 0)),
    ((0, 1, 0), (0, 1, 0)),
    ((0,), (1,)),
    ((7,), (1,)),
    ((None,), (1,)),
    ((None, None), (0.5, 0.5)),
    ((None, None, None), (1 / 3, 1 / 3, 1 / 3)),
    ((5, None), (1, 0)),
    ((None, 5), (0, 1)),
    ((None, 1, 3), (0, 0.25, 0.75)),
]


def refs(weights: tuple[int | None, ...]) -> str:
    lines = [
        f"{{providerHost: {name}{'' if weight is None else f', weight: {weight}'}}}"
        for name, weight in zip(NAMES, weights, strict=False)
    ]
    return f"- backendRefs: [{', '.join(lines)}]"


@pytest.mark.slow
@pytest.mark.parametrize(("weights", "shares"), WEIGHTS)
def test_ten_thousand_picks_come_within_a_point_of_the_proportions(
    weights: tuple[int | None, ...], shares: tuple[float, ...]
) -> None:
    host = virtual_host(table(*map(provider, NAMES), route(refs(weights))))
    asked, draw = request(), random.Random(20_250).random
    picks = Counter(pick(host, asked, draw).upstream.host for _ in range(10_000))
    for name, share in zip(NAMES, shares, strict=False):
        assert picks[name] / 10_000 == pytest.approx(share, abs=0.01 if 0 < share < 1 else 0)


@rows(
    ("chance", "name"),
    [
        (0.0, "b.example"),
        (0.2499999, "b.example"),
        (0.25, "c.example"),
        (0.9999999999999999, "c.example"),
    ],
)
def test_the_ends_of_the_range_of_chance_never_reach_a_backend_of_weight_0(
    chance: float, name: str
) -> None:
    host = virtual_host(table(*map(provider, NAMES), route(refs((0, 1, 3)))))
    assert pick(host, request(), lambda: chance).upstream.host == name


@rows("weights", [(0, 0), (0, None), (None, 0), (0, 0, 0)])
def test_weights_that_add_up_to_nothing_are_refused_where_they_stand(
    weights: tuple[int | None, ...],
) -> None:
    result = compiled(*map(provider, NAMES), route(refs(weights)))
    (problem,) = result.problems
    assert result.table is None
    assert problem.field == "spec.rules[0].backendRefs"
    assert "weight" in problem.message


@rows("weight", ["-1", "0.5", "'50'", "50%", "2147483648", "true"])
def test_a_weight_is_a_whole_number(weight: str) -> None:
    ref = f"- backendRefs: [{{providerHost: a.example, weight: {weight}}}]"
    (problem,) = compiled(provider("a.example"), route(ref)).problems
    assert problem.field == "spec.rules[0].backendRefs[0].weight"


def test_only_backends_of_the_first_priority_share_the_requests() -> None:
    rules = """
    - backendRefs:
      - {providerHost: a.example, weight: 1, priority: 1}
      - {providerHost: b.example, weight: 1}
      - {providerHost: c.example, weight: 1}
    """
    host = virtual_host(table(*map(provider, NAMES), route(rules)))
    draw = random.Random(7).random
    picks = {pick(host, request(), draw).upstream.host for _ in range(200)}
    assert picks == {"b.example", "c.example"}


def test_the_same_seed_makes_the_same_choices() -> None:
    host = virtual_host(table(*map(provider, NAMES), route(refs((1, 1, 1)))))
    first, second = (
        [pick(host, request(), random.Random(seed).random).upstream.host for seed in range(50)]
        for _ in range(2)
    )
    assert first == second
    assert len(set(first)) == 3
