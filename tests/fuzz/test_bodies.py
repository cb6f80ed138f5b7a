"""Request bodies that nobody would write: an answer of ours, or the same body with our fields."""

from __future__ import annotations

import json
import random
from typing import Any

from llm_mesh_middleware.exceptions import MalformedRequest, RequestError
from tests.canaries import canary
from tests.core.scripted import sent
from tests.core.tables import provider, request, route, table

SEED = 20_260_102
ROUTES = table(
    provider("acme.example", f"{{apiKey: {canary('bodies')}, model: m-1, defaults: {{seed: 7}}}}"),
    route("- backendRefs: [{providerHost: acme.example}]"),
)
SCALARS: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.0, 1e-7, 1e300, 2**63, 10**30, "", "text", "\u0000", "\U0001f600",
    "\\", '"', "\u2028", "data: [DONE]\n\n",
)  # fmt: skip
NAMES = ("messages", "model", "stream", "stream_options", "seed", "n", "tools", "", "\u00e9", "a.b")
NOISE = (
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b'"',
    b"\\",
    b"\x00",
    b"\xff",
    b"1e999",
    b"NaN",
    b"-",
    b" ",
)


def value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.random()
    if kind < 0.5 or depth > 4:
        return rng.choice(SCALARS)
    if kind < 0.75:
        return [value(rng, depth + 1) for _ in range(rng.randint(0, 4))]
    return {rng.choice(NAMES): value(rng, depth + 1) for _ in range(rng.randint(0, 4))}


def test_a_body_passes_whole_or_is_refused_in_words() -> None:
    rng = random.Random(SEED)
    passed = 0
    for number in range(2000):
        asked = {name: value(rng) for name in rng.sample(NAMES, rng.randint(0, 6))}
        body = json.dumps(asked, ensure_ascii=rng.random() < 0.5, indent=rng.choice((None, 1)))
        data = body.encode("utf-8", "surrogatepass")
        try:
            arrived = json.loads(sent(ROUTES, request(body=data)).body)
        except RequestError:
            continue
        passed += 1
        ours = {"model": "m-1", "seed": asked.get("seed", 7)}
        kept = {name: part for name, part in asked.items() if name != "stream_options"}
        assert {k: v for k, v in arrived.items() if k != "stream_options"} == kept | ours, number
    assert passed > 1500


def test_bytes_that_are_hardly_json_are_refused_in_words() -> None:
    rng = random.Random(SEED + 1)
    whole = b'{"messages":[{"role":"user","content":"Good morning"}],"stream":true,"n":1}'
    outcomes = {"passed": 0, "refused": 0}
    for _ in range(2000):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data))
            data[at : at + rng.randint(0, 3)] = rng.choice(NOISE)
        try:
            arrived = sent(ROUTES, request(body=bytes(data))).body
        except MalformedRequest:
            outcomes["refused"] += 1
            continue
        assert json.loads(arrived)["model"] == "m-1"  # which reads NaN, as providers may
        outcomes["passed"] += 1
    assert min(outcomes.values()) > 100
