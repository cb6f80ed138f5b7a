"""Fallbacks are counted by what a rule prefers; a missing sticky key shows."""

from __future__ import annotations

from typing import Any

from llm_mesh_middleware.testing import Answer, FakeUpstream, error_body
from tests.telemetry.recording import CHAT, Recorder, calling, chat, make_mesh

DOWN = Answer(503, [], error_body("down"))
OUT = {"spec": {"outlierDetection": {"consecutiveFailures": 1}}}


def another(number: int) -> dict[str, Any]:
    """A request that repeats no other: one alone ejects nobody."""
    return {**CHAT, "user": f"u-{number}"}


def fallbacks(recorder: Recorder) -> dict[tuple[str, str], int]:
    return {
        (p.attributes["llm_mesh.fallback.from"], p.attributes["llm_mesh.fallback.to"]): p.value
        for p in recorder.points("llm_mesh.fallbacks")
    }


async def test_a_call_served_by_the_preferred_backend_is_no_fallback(
    recorder: Recorder, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    async with calling(make_mesh(recorder, upstream, second)) as client:
        for _ in range(3):
            await chat(client)
    assert fallbacks(recorder) == {}
    assert not any("llm_mesh.fallback" in span.attributes for span in recorder.calls)


async def test_fallbacks_are_counted_while_the_preferred_backend_is_ejected(
    recorder: Recorder, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    upstream.always(DOWN)
    mesh = make_mesh(recorder, upstream, second, **OUT)
    async with calling(mesh) as client:
        for number in range(5):
            assert (await chat(client, another(number))).headers["x-llm-mesh-provider"] == "b"
        assert mesh.health()["a.example"].state == "ejected"
    assert len(upstream.requests) < 5
    assert fallbacks(recorder) == {("a.example", "b.example"): 5}
    assert [span.attributes["llm_mesh.fallback"] for span in recorder.calls] == [True] * 5


async def test_a_call_that_passes_several_backends_is_one_fallback(
    recorder: Recorder, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    upstream.always(DOWN)
    second.always(DOWN)
    with FakeUpstream(tls=False) as third:
        hosts = ("a.example", "b.example", "c.example")
        retry = {"rule": {"retry": {"attempts": 3}}}
        mesh = make_mesh(recorder, upstream, second, third, hosts=hosts, **retry)
        async with calling(mesh) as client:
            assert (await chat(client)).headers["x-llm-mesh-provider"] == "c"
    assert fallbacks(recorder) == {("a.example", "c.example"): 1}


def weighted(*weights: int) -> dict[str, Any]:
    refs = [
        {"providerHost": f"{name}.example", "weight": weight}
        for name, weight in zip("ab", weights, strict=True)
    ]
    return {"backendRefs": refs}


async def test_of_weighted_backends_the_one_that_was_drawn_is_preferred(
    recorder: Recorder, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    upstream.always(DOWN)
    draws = [0.1, 0.1, 0.9, 0.1] * 10  # a while it serves; then a and again, or b
    mesh = make_mesh(
        recorder, upstream, second, rule=weighted(50, 50), rng=iter(draws).__next__, **OUT
    )
    async with calling(mesh) as client:
        for number in range(4):
            await chat(client, another(number))
    assert mesh.health()["a.example"].state == "ejected"
    served = recorder.total("llm_mesh.requests")
    assert served == 4
    ((pair, count),) = fallbacks(recorder).items()
    assert pair == ("a.example", "b.example")
    assert count == sum("llm_mesh.fallback" in span.attributes for span in recorder.calls)
    assert 1 <= count < 4


async def test_a_call_without_the_key_of_a_sticky_rule_is_counted_and_marked(
    recorder: Recorder, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    mesh = make_mesh(recorder, upstream, second, rule={"stickyBy": {"header": "x-user"}})
    async with calling(mesh) as client:
        await chat(client, headers={"X-User": "u-17"})
        await chat(client)
    marks = [span.attributes.get("llm_mesh.sticky.missing") for span in recorder.calls]
    assert marks == [None, True]
    (point,) = recorder.points("llm_mesh.sticky.missing")
    assert point.value == 1
    assert dict(point.attributes) == {"llm_mesh.route.name": "main", "llm_mesh.rule.name": "all"}


async def test_a_call_without_the_attribute_of_a_sticky_rule_is_counted(
    recorder: Recorder, upstream: FakeUpstream, second: FakeUpstream
) -> None:
    mesh = make_mesh(recorder, upstream, second, rule={"stickyBy": {"attribute": "tenant"}})
    async with calling(mesh) as client:
        with mesh.attributes(tenant="t-1"):
            await chat(client)
        await chat(client, CHAT)
    assert recorder.total("llm_mesh.sticky.missing") == 1


async def test_a_rule_without_a_sticky_key_misses_none(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    async with calling(make_mesh(recorder, upstream)) as client:
        await chat(client)
    assert recorder.points("llm_mesh.sticky.missing") == []
    assert "llm_mesh.sticky.missing" not in recorder.call.attributes
