"""What policies decide is told by metrics, spans and access records."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import pytest

from llm_mesh_middleware import LLMPolicy
from llm_mesh_middleware.exceptions import PolicyUnavailable
from llm_mesh_middleware.stores import BudgetClaim, MemoryStore, Reserve, Reserved, SlotClaim
from llm_mesh_middleware.testing import Answer, FakeUpstream, chat_completion, token_usage
from tests.semantic.provider import embed
from tests.semantic.provider import policy as semantic
from tests.telemetry.recording import Recorder, calling, chat, make_mesh

WHOLE = Answer(body=chat_completion("hello", usage=token_usage(40, 60)))
PRICES = {"prices": [{"perMillion": {"input": "0", "output": "1000000"}}]}


def policy(**spec: Any) -> LLMPolicy:
    return LLMPolicy.model_validate({"metadata": {"name": "team"}, "spec": spec})


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "llm_mesh.access")
    return caplog


def told(records: pytest.LogCaptureFixture) -> list[Any]:
    found = [r.llm_mesh for r in records.records if hasattr(r, "llm_mesh")]
    return [each["policies"] for each in found]


def count(recorder: Recorder, item: str, decision: str) -> float:
    labels = {"llm_mesh__policy__item": item, "llm_mesh__policy__decision": decision}
    return recorder.total(
        "llm_mesh.policy.decisions", llm_mesh__policy__name="default/team", **labels
    )


async def test_a_refusal_is_told_by_every_signal(
    recorder: Recorder, upstream: FakeUpstream, records: pytest.LogCaptureFixture
) -> None:
    upstream.always(WHOLE)
    limits = policy(limits=[{"name": "one", "requests": 1, "per": "1h"}])
    async with calling(make_mesh(recorder, upstream, policies=[limits])) as client:
        assert [(await chat(client)).status_code for _ in range(2)] == [200, 429]
    assert (count(recorder, "one", "allowed"), count(recorder, "one", "refused")) == (1, 1)
    assert "llm_mesh.policy.decisions" not in recorder.call.attributes
    servers = [span.attributes.get("llm_mesh.policy.decisions") for span in recorder.spans]
    assert [each for each in servers if each] == [("default/team/one refused",)]
    assert told(records) == [None, ["default/team/one refused"]]


async def test_what_is_more_than_a_pass_is_on_the_span_of_the_call(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    upstream.always(WHOLE)
    budget = {"name": "money", "amount": 50, "per": "year", "onExceeded": "warn", "warnAt": [0.5]}
    limits = policy(budgets=[budget], limits=[{"name": "one", "requests": 1, "shadow": True}])
    mesh = make_mesh(recorder, upstream, policies=[limits], spec=PRICES)
    async with calling(mesh) as client:
        for _ in range(2):
            await chat(client)
    first, second = (span.attributes.get("llm_mesh.policy.decisions") for span in recorder.calls)
    assert first is None
    assert second == (
        "default/team/one shadow_refused",
        "default/team/money exceeded",
        "default/team/money warned",
    )


async def test_tokens_that_limits_reserve_and_settle_are_counted(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    upstream.always(WHOLE)
    limits = policy(limits=[{"name": "tpm", "tokens": 10_000, "reserve": "max"}])
    async with calling(make_mesh(recorder, upstream, policies=[limits])) as client:
        await chat(client, {"model": "m-1", "max_tokens": 500, "messages": []})
    assert recorder.total("llm_mesh.limit.tokens", llm_mesh__limit__state="settled") == 100
    reserved = recorder.total("llm_mesh.limit.tokens", llm_mesh__limit__state="reserved")
    assert 500 < reserved < 530


async def test_what_a_process_that_died_held_is_counted_when_it_expires(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    upstream.always(WHOLE)
    now_us = 10**15
    store = MemoryStore(clock_us=lambda: now_us)
    limits = policy(
        limits=[{"name": "slots", "concurrency": 3}],
        budgets=[{"name": "money", "amount": 5000, "per": "year"}],
    )
    window = f"{{default/team/money}}:m:{datetime.now(UTC).year}"
    dead = (
        SlotClaim("{default/team/slots}:c", 3, 1000),
        BudgetClaim(window, 1, 10**9, 1000, 10**12),
    )
    mesh = make_mesh(recorder, upstream, policies=[limits], store=store, spec=PRICES)
    async with calling(mesh) as client:
        for _ in range(2):
            assert store.ask(Reserve(dead), None).is_granted
        now_us += 2000
        for _ in range(2):
            assert (await chat(client)).status_code == 200
    for item, kind in (("slots", "concurrency"), ("money", "budget")):
        labels = {"llm_mesh__policy__item": item, "llm_mesh__policy__kind": kind}
        assert recorder.total("llm_mesh.limit.expired", **labels) == 2


async def test_cached_replies_and_findings_are_counted(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    upstream.always(WHOLE)
    guard = {"name": "words", "on": ["request"], "keywords": {"deny": ["morning"]}}
    spec = policy(cache={"vary": []}, guards=[guard | {"action": {"log": {}}}])
    async with calling(make_mesh(recorder, upstream, policies=[spec])) as client:
        for _ in range(2):
            await chat(client)
    for result in ("hit", "miss"):
        assert recorder.total("llm_mesh.cache.requests", llm_mesh__cache__result=result) == 1
    (point,) = recorder.points("llm_mesh.guard.findings")
    assert (point.value, point.attributes["llm_mesh.guard.action"]) == (2, "logged")
    assert point.attributes["llm_mesh.policy.item"] == "words"


async def test_names_that_a_webhook_makes_up_do_not_become_series_without_end(
    recorder: Recorder, upstream: FakeUpstream
) -> None:
    upstream.always(WHOLE)
    with FakeUpstream(tls=False) as service:
        entities = [f"NAME_{number}" for number in range(60)]
        service.script(*(Answer(body={"result": "deny", "entity": each}) for each in entities))
        guard = {"name": "names", "webhook": {"url": service.url}, "action": {"log": {}}}
        mesh = make_mesh(recorder, upstream, policies=[policy(guards=[guard])])
        async with calling(mesh) as client:
            for _ in entities:
                assert (await chat(client)).status_code == 200
    points = recorder.points("llm_mesh.guard.findings")
    counts = {point.attributes["llm_mesh.guard.entity"]: point.value for point in points}

    assert counts == {**dict.fromkeys(entities[:50], 1), "_other": 10}


class Away(MemoryStore):
    """A shared store that may be away."""

    is_away = False

    async def aask(self, request: Reserve, until: float | None) -> Reserved:
        if self.is_away and not request.is_local:
            raise PolicyUnavailable("away")
        return await super().aask(request, until)


async def test_a_store_that_is_away_is_told(recorder: Recorder, upstream: FakeUpstream) -> None:
    upstream.always(WHOLE)
    store = Away()
    limits = policy(limits=[{"name": "one", "requests": 9, "onStoreFailure": "allow"}])
    async with calling(make_mesh(recorder, upstream, policies=[limits], store=store)) as client:
        assert [point.value for point in recorder.points("llm_mesh.policy.store.state")] == [0]
        store.is_away = True
        assert (await chat(client)).status_code == 200
        assert [point.value for point in recorder.points("llm_mesh.policy.store.state")] == [1]
    assert count(recorder, "one", "unchecked") == 1


async def test_a_cache_tells_what_it_saved(recorder: Recorder, upstream: FakeUpstream) -> None:
    upstream.always(WHOLE)
    async with calling(
        make_mesh(recorder, upstream, policies=[policy(cache={"vary": []})])
    ) as client:
        for _ in range(3):
            await chat(client)

    assert recorder.total("llm_mesh.cache.requests", llm_mesh__cache__result="miss") == 1
    assert recorder.total("llm_mesh.cache.requests", llm_mesh__cache__result="hit") == 2
    assert (
        recorder.total("llm_mesh.cache.saved_tokens", llm_mesh__policy__name="default/team") == 200
    )
    assert len(recorder.calls) == 1  # a hit is no call, and uses no tokens


async def test_vectors_are_told_with_their_tokens_and_their_cost(
    recorder: Recorder, upstream: FakeUpstream, records: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("numpy", reason="the extra semantic is not installed")
    upstream.always(lambda asked: embed(asked) if asked.path.endswith("/embeddings") else WHOLE)
    prices = {"prices": [{"perMillion": {"input": "1000000", "output": "0"}}]}
    alike = semantic("a.example")
    async with calling(make_mesh(recorder, upstream, spec=prices, policies=[alike])) as client:
        for text in ("What is a mesh?", "what's a mesh"):
            await chat(client, {"messages": [{"role": "user", "content": text}]})

    assert [count(recorder, "semantic", result) for result in ("miss", "hit")] == [1, 1]
    assert recorder.total("llm_mesh.cache.embedding_tokens") == 4 + 3
    assert recorder.total("llm_mesh.cost") == 40 + 4 + 3
    assert recorder.total("llm_mesh.cache.requests", llm_mesh__cache__result="hit") == 1
    assert told(records) == [
        ["default/team/semantic miss", "default/team/cache miss"],
        ["default/team/semantic hit", "default/team/cache hit"],
    ]
