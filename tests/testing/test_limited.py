"""The store of limits for tests, and the assertion that a limit has refused."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from llm_mesh_middleware import LLMPolicy, Mesh
from llm_mesh_middleware.testing import Limits, assert_limited
from tests.resilience.meshes import PRIMARY, provider, route
from tests.rows import rows


@dataclass
class Response:
    status_code: int
    text: str = ""
    headers: dict[str, str] = field(default_factory=dict)


REFUSED = Response(429, "limit 'burst': the 2 requests of each 60 s are used up")


def test_a_refusal_by_a_limit_passes() -> None:
    assert_limited(REFUSED)
    assert_limited(REFUSED, "burst", is_worth_a_retry=True)


@rows(
    ("response", "words", "message"),
    [
        (Response(200), {}, "the status is 200"),
        (Response(429, headers={"x-llm-mesh-provider": "a"}), {}, "the 429 of a provider"),
        (REFUSED, {"item": "tokens"}, "expected 'tokens' to refuse"),
        (REFUSED, {"is_worth_a_retry": False}, "SDKs may retry"),
    ],
)
def test_anything_else_does_not(response: Response, words: dict[str, object], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        assert_limited(response, **words)  # type: ignore[arg-type]


def test_levels_are_told_by_name_and_value() -> None:
    items = [
        {"name": "tpm", "tokens": 100, "by": ["consumer", "model"]},
        {"name": "slots", "concurrency": 4},
    ]
    spec = {"limits": items, "budgets": [{"name": "money", "amount": 5, "per": "year"}]}
    policy = LLMPolicy.model_validate({"metadata": {"name": "team"}, "spec": spec})
    limits = Limits()
    mesh = Mesh((provider("primary"), route(PRIMARY), policy), store=limits.store)
    assert limits.left(mesh, "team/tpm", consumer="a", model="m") == 100
    assert limits.left(mesh, "default/team/slots") == 4
    assert limits.left(mesh, "team/money") == 5
    with pytest.raises(LookupError, match="expected one of: default/team/money, default/team/sl"):
        limits.left(mesh, "team/other")
    mesh.close()
