"""Who may use the mesh: the same through every inbound adapter."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

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


@pytest.mark.every_row
@pytest.mark.parametrize(("decision", "status"), [(True, 200), (False, 403)])
def test_the_application_may_decide(world: World, decision: bool, status: int) -> None:
    world.start(words={"authorize": lambda request: decision})
    assert world.ask(headers=FORWARDED).status == status


def test_the_owner_of_a_key_is_an_attribute(world: World) -> None:
    named = rule("named", matches=[{"attributes": {"consumer": {"exact": "reporting"}}}])
    world.start(named, rule("rest"), client_keys=KEYS)
    assert world.ask(headers=BEARER).headers["x-llm-mesh-rule"] == "named"
    assert world.ask().headers["x-llm-mesh-rule"] == "rest"


class Word:
    """What an application may give as `authorize`: an object that says the same to everybody."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    def __call__(self, request: object) -> object:
        return self._answer


async def later(answer: object, request: object = None) -> object:
    return answer


class LaterWord:
    """Its call is a coroutine function, which no inspection of the object tells."""

    async def __call__(self, request: object) -> object:
        return True


def generator(request: object) -> Iterator[bool]:
    yield True


async def asynchronous_generator(request: object) -> Any:
    yield True


def fails(request: object) -> bool:
    raise LookupError("no such user")


@pytest.mark.every_row
@pytest.mark.parametrize(
    ("authorize", "status"),
    [
        (lambda request: True, 200),
        (Word(True), 200),
        (partial(lambda answer, request: answer, True), 200),
        (lambda request: False, 403),
        (lambda request: None, 403),
        (lambda request: 0, 403),
        (lambda request: 1, 403),
        (lambda request: "no", 403),
        (Word({"user": "somebody"}), 403),
        (partial(lambda answer, request: answer, False), 403),
        (generator, 403),
        (asynchronous_generator, 403),
        (fails, 500),
    ],
)
@pytest.mark.parametrize("headers", [[], FORWARDED])
def test_only_true_admits(
    world: World, authorize: Callable[[object], object], status: int, headers: list[tuple[str, str]]
) -> None:
    world.start(words={"authorize": authorize})
    assert world.ask(headers=headers).status == status
    assert len(world.primary.requests) == (status == 200)


async def admit(request: object) -> bool:
    return True


async def refuse(request: object) -> bool:
    return False


@pytest.mark.every_row
@pytest.mark.parametrize(
    ("authorize", "status"),
    [
        (admit, 200),
        (refuse, 403),
        (partial(later, True), 200),
        (partial(later, False), 403),
        (lambda request: later(True), 200),
        (lambda request: later(False), 403),
        (LaterWord(), 200),
    ],
)
@pytest.mark.parametrize("headers", [[], FORWARDED])
def test_an_awaitable_is_awaited_or_an_error_but_never_a_yes(
    world: World,
    adapter_name: str,
    authorize: Callable[[object], Awaitable[object]],
    status: int,
    headers: list[tuple[str, str]],
) -> None:
    world.start(words={"authorize": authorize})
    got = world.ask(headers=headers).status
    # Django calls coroutine functions from synchronous code by itself.
    expected = (
        {status}
        if "asgi" in adapter_name
        else {500, *([status] if "django" in adapter_name else [])}
    )
    assert got in expected
    assert len(world.primary.requests) == (got == 200)


def test_authorize_decides_where_a_near_peer_would_be_admitted(world: World) -> None:
    world.start(words={"authorize": lambda request: False}, client_keys=KEYS, access="open")
    assert world.ask().status == 403
    assert world.ask(headers=BEARER).status == 200


@pytest.mark.parametrize("name", ["x-api-key", "api-key", "x-goog-api-key"])
def test_a_client_key_may_stand_where_its_sdk_puts_it(world: World, name: str) -> None:
    world.start(access="keys", client_keys=KEYS)
    assert world.ask(headers=[(name, KEYS["reporting"])]).status == 200
    assert world.ask(headers=[(name, "wrong")]).status == 401
