"""Mirrors: which requests are drawn, and what is refused when manifests are read."""

from __future__ import annotations

import random
import threading

import pytest

from llm_mesh_middleware._core.flow.mirrors.layer import is_drawn
from llm_mesh_middleware._core.flow.mirrors.state import MirrorStates
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from tests.core.tables import ACME, GLOBEX, compiled, provider, route, table
from tests.rows import rows


def request(*fields: tuple[str, str]) -> ClientRequest:
    raw = [(name.encode(), value.encode()) for name, value in fields]
    return ClientRequest("POST", "/v1/chat/completions", Headers(raw))


def never() -> float:
    raise AssertionError("the id decides")


@pytest.mark.parametrize("field", ["x-request-id", "traceparent"])
def test_the_id_of_a_request_decides(field: str) -> None:
    def is_copied(number: int, percent: float) -> bool:
        value = f"id-{number}"
        if field == "traceparent":
            value = f"00-{number:032x}-00f067aa0ba902b7-01"
        return is_drawn(request((field, value)), percent, never)

    drawn = [number for number in range(10_000) if is_copied(number, 5)]
    assert 400 <= len(drawn) <= 600
    assert [number for number in drawn if not is_copied(number, 10)] == []
    assert not any(is_copied(number, 0) for number in range(100))
    assert all(is_copied(number, 100) for number in range(100))


def test_the_spans_of_a_trace_share_a_draw() -> None:
    first, second = (
        [is_drawn(request(("traceparent", f"00-{n:032x}-{s}-01")), 50, never) for n in range(100)]
        for s in ("00f067aa0ba902b7", "10f067aa0ba902b7")
    )
    assert first == second


def test_without_an_id_chance_decides() -> None:
    chance = random.Random(7).random
    drawn = sum(is_drawn(request(), 20, chance) for _ in range(10_000))
    assert 1_800 <= drawn <= 2_200


def rules(mirror: str) -> str:
    return f"- {{name: r, backendRefs: [{{providerHost: {ACME}}}], mirrors: [{mirror}]}}"


def test_a_mirror_has_the_configuration_of_its_provider() -> None:
    documents = (provider(), provider(GLOBEX, "{model: big}"))
    mirror = f"{{providerHost: {GLOBEX}, percent: 5, maxConcurrency: 2, timeout: 3s}}"
    (host, *_) = table(*documents, route(rules(mirror))).hosts
    (found,) = host.rules[0].mirrors
    assert (found.upstream.host, found.upstream.model) == (GLOBEX, "big")
    assert (found.percent, found.max_concurrency, found.timeout_s) == (5, 2, 3)


@rows(
    ("mirror", "field", "message"),
    [
        (f"{{providerHost: {ACME}}}", "providerHost", "would mirror itself"),
        ("{providerHost: nowhere.example}", "providerHost", "no LLMProvider has the host"),
        (f"{{providerHost: {GLOBEX}, percent: 0}}", "percent", "must be more than 0"),
        (f"{{providerHost: {GLOBEX}, percent: 101}}", "percent", "100"),
        (f"{{providerHost: {GLOBEX}, maxConcurrency: 0}}", "maxConcurrency", "1"),
    ],
)
def test_a_mirror_that_cannot_be_is_refused(mirror: str, field: str, message: str) -> None:
    result = compiled(provider(), provider(GLOBEX), route(rules(mirror)))
    assert result.table is None
    (problem,) = result.problems
    assert problem.field == f"spec.rules[0].mirrors[0].{field}"
    assert problem.line > 0
    assert message in problem.message


def test_another_model_of_the_same_provider_is_no_mirror_of_itself() -> None:
    found = compiled(provider(), route(rules(f"{{providerHost: {ACME}, model: other}}")))
    assert found.table is not None


def test_the_slots_of_a_mirror_survive_a_reload() -> None:
    documents = (provider(), provider(GLOBEX), route(rules(f"{{providerHost: {GLOBEX}}}")))
    (first,), (second,) = (table(*documents).hosts[0].rules[0].mirrors for _ in range(2))
    states = MirrorStates(threading.Lock)
    assert states.of(first).lease(0.0) is not None
    states.keep([second])
    assert states.of(second).in_flight == 1
    states.keep([])
    assert states.of(second).in_flight == 0
