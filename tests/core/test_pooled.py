"""Picking a server of a pool: its score, adapters, and what a conversation's beginning is."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import msgspec
import pytest

from llm_mesh_middleware._core.balance.backends import Backend
from llm_mesh_middleware._core.balance.balancer import Candidate
from llm_mesh_middleware._core.balance.pooled import Pooled, server_score
from llm_mesh_middleware._core.balance.prompt_prefix import prefix_digest
from llm_mesh_middleware._core.dialect import ServedOperation
from llm_mesh_middleware._core.provider.registry import HealthRegistry
from llm_mesh_middleware._core.provider.servers.metrics_page import ServerLoad
from llm_mesh_middleware._core.values.endpoint import Endpoint
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware._dialects.anthropic import MESSAGES
from llm_mesh_middleware._dialects.openai_chat import CHAT
from llm_mesh_middleware._dialects.openai_responses import RESPONSES
from tests.core.tables import provider, table
from tests.rows import rows

PLAIN = ClientRequest("POST", "/", Headers(), model="qwen")


def asked(operation: ServedOperation, **members: object) -> ClientRequest:
    fields = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in members.items()}
    model = str(members.get("model", "m"))
    return ClientRequest("POST", "/", Headers(), operation=operation, fields=fields, model=model)


def said(role: str, text: object) -> dict[str, object]:
    return {"role": role, "content": text}


def pool(*loads: ServerLoad | None) -> list[Candidate]:
    """Servers with these loads, known at 0."""
    upstream = table(provider()).hosts[0].rules[0].backends.tiers[0][0].upstream
    backend = Backend(upstream, 1, is_pool=True)
    registry = HealthRegistry(threading.Lock)
    found = []
    for port, load in enumerate(loads):
        endpoint = Endpoint("pool", "http", "10.0.0.1", port, "pool")
        server = Candidate(backend, endpoint, registry.of(upstream, endpoint))
        if load is not None:
            server.health.server.learn(load, 0, 0.0)
        found.append(server)
    return found


def picks(servers: list[Candidate], call: ClientRequest, times: int = 200) -> list[int]:
    chance = random.Random(5).random
    picked = [Pooled().pick(servers, call, chance, 0.0) for _ in range(times)]
    return [sum(each is server for each in picked) for server in servers]


@rows(
    ("load", "adapter", "score"),
    [
        (ServerLoad(0), None, 0.0),
        (ServerLoad(7), None, 7.0),
        (ServerLoad(0, 8), None, 1.0),
        (ServerLoad(0, 0, 0.8), None, 0.0),
        (ServerLoad(0, 0, 1.0), None, 4.0),
        (ServerLoad(0, 0, 0.0, frozenset("a")), "a", 0.0),
        (ServerLoad(0, 0, 0.0, frozenset("a")), "b", 2.0),
        (ServerLoad(0, 0, 0.0, None), "b", 0.0),
    ],
)
def test_the_score_of_a_load(load: ServerLoad, adapter: str | None, score: float) -> None:
    (server,) = pool(load)
    assert server_score(server, adapter, 0.0) == pytest.approx(score)


def test_calls_that_the_page_cannot_know_count() -> None:
    (server,) = pool(ServerLoad(1))
    lease = server.health.lease(0.0)
    assert lease is not None
    lease.end("success", 0.1)
    assert server_score(server, None, 0.2) == 2.0
    server.health.server.learn(ServerLoad(1), 1, 0.3)
    assert server_score(server, None, 0.4) == 1.0


def test_a_load_is_forgotten_after_five_seconds() -> None:
    (server,) = pool(ServerLoad(1))
    assert server_score(server, None, 5.0) == 1.0
    assert server_score(server, None, 5.1) is None


def test_the_better_of_two_is_picked() -> None:
    assert picks(pool(ServerLoad(0), ServerLoad(9)), PLAIN) == [200, 0]
    best, middle, worst = picks(pool(ServerLoad(0), ServerLoad(5), ServerLoad(9)), PLAIN)
    assert best > middle > worst == 0


def test_a_call_for_an_adapter_prefers_the_server_that_has_it() -> None:
    servers = pool(ServerLoad(0, adapters=frozenset()), ServerLoad(1, adapters=frozenset(["sql"])))
    assert picks(servers, PLAIN) == [200, 0]
    assert picks(servers, asked(CHAT, model="sql", messages=[])) == [0, 200]


def test_a_server_that_does_not_say_is_left_out_of_scoring() -> None:
    silent, busy = picks(pool(None, ServerLoad(50)), PLAIN)
    assert silent + busy == 200
    assert min(silent, busy) > 50


def test_a_server_without_a_free_slot_is_crowded() -> None:
    call = asked(CHAT, messages=[said("user", "hi")])
    servers = pool(*[ServerLoad(0)] * 3)
    (home,) = {
        Pooled().pick(servers, call, random.Random(n).random, 0.0).endpoint for n in range(9)
    }
    at_home = next(each for each in servers if each.endpoint == home)
    at_home.health.server.learn(ServerLoad(6), 0, 0.0)
    assert Pooled().pick(servers, call, random.Random(1).random, 0.0) is not at_home


LONG = "x" * 1024
SAME: dict[str, tuple[ClientRequest, ClientRequest]] = {
    "a later turn": (
        asked(CHAT, messages=[said("system", "s"), said("user", "u")]),
        asked(CHAT, messages=[said("system", "s"), said("user", "u"), said("assistant", "a")]),
    ),
    "parts": (
        asked(CHAT, messages=[said("user", "u")]),
        asked(CHAT, messages=[said("user", [{"type": "text", "text": "u"}]), said("user", "v")]),
    ),
    "what follows a long beginning": (
        asked(CHAT, messages=[said("user", LONG + "a")]),
        asked(CHAT, messages=[said("user", LONG + "b")]),
    ),
    "messages": (
        asked(MESSAGES, system="s", messages=[said("user", "u")]),
        asked(MESSAGES, system="s", messages=[said("user", "u"), said("assistant", "a")]),
    ),
    "responses": (
        asked(RESPONSES, instructions="s", input="u"),
        asked(RESPONSES, instructions="s", input=[said("user", "u"), said("assistant", "a")]),
    ),
}


@rows(("one", "other"), SAME.values(), ids=SAME)
def test_turns_of_a_conversation_share_its_beginning(
    one: ClientRequest, other: ClientRequest
) -> None:
    assert prefix_digest(one) is not None
    assert prefix_digest(one) == prefix_digest(other)


@rows(
    "other",
    [
        asked(CHAT, model="n", messages=[said("system", "s"), said("user", "u")]),
        asked(CHAT, messages=[said("system", "t"), said("user", "u")]),
        asked(CHAT, messages=[said("system", "s"), said("user", "v")]),
    ],
)
def test_other_conversations_begin_differently(other: ClientRequest) -> None:
    assert prefix_digest(other) != prefix_digest(
        asked(CHAT, messages=[said("system", "s"), said("user", "u")])
    )


@rows(
    "make",
    [
        lambda: PLAIN,
        lambda: asked(CHAT, messages=[]),
        lambda: asked(CHAT, messages=[None, 1, {"role": 2}]),
    ],
)
def test_a_request_without_a_message_has_no_beginning(make: Callable[[], ClientRequest]) -> None:
    assert prefix_digest(make()) is None
