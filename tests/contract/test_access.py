"""Who may use the mesh: the same through every inbound adapter."""

from __future__ import annotations

import pytest

from tests.canaries import canary
from tests.contract.conftest import World, rule

KEYS = {"reporting": canary("reporting")}
FORWARDED = [("x-forwarded-for", "203.0.113.9")]
BEARER = [("authorization", f"Bearer {KEYS['reporting']}")]

pytestmark = pytest.mark.inbound


@pytest.mark.parametrize(
    ("access", "headers", "status"),
    [
        ("private", [], 200),
        ("private", FORWARDED, 403),
        ("private", [*FORWARDED, *BEARER], 200),
        ("keys", [], 401),
        ("keys", [("authorization", "Bearer wrong")], 401),
        ("keys", BEARER, 200),
        ("open", FORWARDED, 200),
    ],
)
def test_access_is_by_address_or_key(
    world: World, access: str, headers: list[tuple[str, str]], status: int
) -> None:
    world.start(access=access, client_keys=KEYS)
    answer = world.ask(headers=headers)
    assert answer.status == status
    assert len(world.primary.requests) == (status == 200)
    if status != 200:
        assert answer.code == {401: "invalid_client_key", 403: "access_denied"}[status]


@pytest.mark.parametrize(("decision", "status"), [(True, 200), (False, 403)])
def test_the_application_may_decide(world: World, decision: bool, status: int) -> None:
    world.start(words={"authorize": lambda request: decision})
    assert world.ask(headers=FORWARDED).status == status


def test_the_owner_of_a_key_is_an_attribute(world: World) -> None:
    named = rule("named", matches=[{"attributes": {"consumer": {"exact": "reporting"}}}])
    world.start(named, rule("rest"), client_keys=KEYS)
    assert world.ask(headers=BEARER).headers["x-llm-mesh-rule"] == "named"
    assert world.ask().headers["x-llm-mesh-rule"] == "rest"
