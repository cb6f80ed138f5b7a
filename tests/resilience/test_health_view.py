"""`Mesh.health()`: how the providers are doing, by provider host."""

from __future__ import annotations

import asyncio

import pytest

from llm_mesh_middleware.testing import Answer, Cut, FakeUpstream, Gate, error_body
from tests.resilience.meshes import FALLBACK, PRIMARY, ask, provider, route, running

DOWN = Answer(503, body=error_body("down"))
QUICK = {"consecutiveFailures": 2, "baseEjectionTime": "40ms"}


async def test_every_state_is_seen_in_its_turn(
    primary: FakeUpstream, fallback: FakeUpstream
) -> None:
    documents = (
        provider("primary", primary, outlierDetection=QUICK),
        provider("fallback", fallback),
        route(PRIMARY, FALLBACK),
    )
    primary.script(DOWN, DOWN)
    async with running(*documents) as mesh:
        assert mesh.health() == {}  # nobody was called yet
        await ask(mesh)
        status = mesh.health()["primary.example"]
        assert (status.state, status.consecutive_failures) == ("healthy", 1)
        await ask(mesh)
        status = mesh.health()["primary.example"]
        assert (status.ejections, status.consecutive_failures) == (1, 0)
        assert status.ejected_for_s <= 0.04
        async with asyncio.timeout(5):
            while (status := mesh.health()["primary.example"]).state == "ejected":
                assert status.ejected_for_s > 0
                await asyncio.sleep(0.005)
        assert (status.state, status.ejected_for_s) == ("half_open", 0.0)
        await ask(mesh)
        assert mesh.health()["primary.example"].state == "healthy"
        assert list(mesh.health()) == ["primary.example", "fallback.example"]
        assert mesh.health()["fallback.example"].state == "healthy"


async def test_calls_under_way_are_counted(primary: FakeUpstream) -> None:
    gate = Gate()
    primary.always(Answer(body={"choices": []}, delay=gate))
    async with running(provider("primary", primary), route(PRIMARY)) as mesh:
        asking = [asyncio.create_task(ask(mesh)) for _ in range(3)]
        await asyncio.to_thread(primary.wait_for_requests, 3)
        assert mesh.health()["primary.example"].in_flight == 3
        gate.open()
        await asyncio.gather(*asking)
        assert mesh.health()["primary.example"].in_flight == 0


async def test_rate_limits_are_told_apart_from_failures(
    primary: FakeUpstream, fallback: FakeUpstream
) -> None:
    # Two resets: the first is on a kept connection, which is replaced.
    limit = Answer(429, [("retry-after", "60")], error_body("slow"))
    primary.script(limit, Cut(how="reset"), Cut(how="reset"))
    documents = (provider("primary", primary), provider("fallback", fallback))
    async with running(*documents, route(PRIMARY, FALLBACK)) as mesh:
        await ask(mesh)
        await ask(mesh)
        status = mesh.health()["primary.example"]
    assert (status.consecutive_rate_limits, status.consecutive_failures) == (1, 1)


async def test_a_refused_request_is_no_failure_of_the_provider(primary: FakeUpstream) -> None:
    async with running(provider("primary", primary), route(PRIMARY)) as mesh:
        for status in (400, 401, 403, 404, 422) * 3:
            primary.script(Answer(status, body=error_body("no")))
            assert (await ask(mesh)).status == status
        assert mesh.health()["primary.example"].consecutive_failures == 0


async def test_a_status_is_a_value(primary: FakeUpstream) -> None:
    async with running(provider("primary", primary), route(PRIMARY)) as mesh:
        await ask(mesh)
        status = mesh.health()["primary.example"]
    with pytest.raises(AttributeError):
        status.in_flight = 7  # type: ignore[misc]
