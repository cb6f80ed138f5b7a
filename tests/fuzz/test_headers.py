"""Ten thousand sets of header fields: none that is the client's own affair goes upstream."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator

from llm_mesh_middleware._core.flow.attempts.context import ExchangeSettings
from llm_mesh_middleware._core.flow.exchange import exchange
from llm_mesh_middleware._core.flow.state import MeshState
from llm_mesh_middleware._core.http.forwarding import ForwardPolicy
from llm_mesh_middleware._core.provider.upstream import call_headers
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest, UpstreamRequest
from llm_mesh_middleware._core.values.steps import Send, StepResult
from llm_mesh_middleware._engine.ports.memory import MemoryStore
from tests.canaries import canary
from tests.core.scripted import JSON, Clock, Notes, head
from tests.core.tables import provider, route, table, upstream_of, virtual_host

SETS = 10_000
SEED = 20_260_101

# A value that must not be seen upstream is marked, one that may be is not.
MARK = b"of-the-client"

# As servers hand them on, whatever the client's spelling.
SECRET_NAMES = (
    b"authorization", b"proxy-authorization", b"cookie", b"cookie2", b"x-api-key", b"api-key",
    b"x-goog-api-key", b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host",
    b"x-forwarded-proto", b"x-forwarded-prefix", b"x-real-ip", b"x-original-url",
    b"x-rewrite-url", b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer",
    b"transfer-encoding", b"upgrade", b"host", b"content-length", b"content-encoding", b"expect",
    b"accept-encoding", b"proxy-anything", b"x-unknown", b"referer", b"origin",
    b"x-llm-custom-host", b"x-auth-token", b"set-cookie", b"openai-organization",
)  # fmt: skip
PASSING_NAMES = (
    b"accept", b"accept-language", b"user-agent", b"x-request-id", b"idempotency-key",
    b"openai-beta", b"anthropic-version", b"x-dashscope-session",
    b"x-stainless-lang",
)  # fmt: skip
# Even an owner who lets everything through does not let these.
GREEDY = ForwardPolicy.extended(["x-*", "proxy-*", "cookie", "authorization", "api-key", "*"])
FORBIDDEN_TO_ALL = (
    b"authorization", b"proxy-authorization", b"cookie", b"x-api-key", b"forwarded", b"connection",
    b"x-forwarded-for", b"x-forwarded-host", b"transfer-encoding", b"te", b"upgrade",
)  # fmt: skip

RULES = """
- name: only
  backendRefs: [{providerHost: acme.example}, {providerHost: globex.example, priority: 1}]
  retry: {attempts: 1, backoff: 1ms}
"""
OPENAI = "{apiKey: %s, model: m-%s, headers: {x-own-%s: '1'}}"


def header_set(rng: random.Random) -> list[tuple[bytes, bytes]]:
    fields = []
    for _ in range(rng.randint(1, 14)):
        if rng.random() < 0.6:
            fields.append((rng.choice(SECRET_NAMES), MARK))
        else:
            fields.append((rng.choice(PASSING_NAMES), b"a value"))
    if rng.random() < 0.2:  # a field that the client declares to be of this hop only
        fields += [(b"connection", b"close, X-Request-Id"), (b"x-request-id", MARK)]
    rng.shuffle(fields)
    return fields


def attempts(request: ClientRequest, policy: ExchangeSettings) -> Iterator[UpstreamRequest]:
    """What each attempt of an exchange sends, when every provider is down."""
    clock = Clock()
    steps = exchange(
        virtual_host(ROUTES, "chat"),
        request,
        policy,
        MeshState(threading.Lock, MemoryStore()),
        clock=clock,
        wall_clock=clock,
        random=lambda: 0.0,
        observation=Notes(),
    )
    answer: StepResult = None
    body = iter(())
    try:
        while True:
            step = steps.send(answer)
            if isinstance(step, Send):
                yield step.request
                answer, body = head(503, JSON), iter((b"{}", b""))
            else:
                answer = next(body, None)
    except StopIteration:
        return


ROUTES = table(
    *(
        provider(f"{name}.example", OPENAI % (canary(name), name, name))
        for name in ("acme", "globex")
    ),
    route(RULES),
)


def test_nothing_of_the_clients_own_is_among_the_fields_of_a_call() -> None:
    rng = random.Random(SEED)
    upstream = upstream_of(ROUTES)
    for number in range(SETS):
        fields = header_set(rng)
        sent = call_headers(upstream, Headers(fields), ForwardPolicy())
        assert MARK not in b"".join(value for _, value in sent), (number, fields)
        assert "authorization" not in Headers(sent)  # the key is put in last
        assert [value for key, value in sent if key == b"host"] == [b"acme.example"]


def test_an_attempt_has_nothing_of_the_one_before_it() -> None:
    rng = random.Random(SEED + 2)
    seen = 0
    for number in range(SETS // 10):
        fields = header_set(rng)
        request = ClientRequest("POST", "/", Headers(fields), b'{"messages":[]}')
        made = list(attempts(request, ExchangeSettings()))
        assert len(made) == 2
        for attempt in made:
            name = attempt.provider
            other = "globex" if name == "acme" else "acme"
            sent = dict(attempt.headers)
            assert MARK not in b"".join(sent.values()), (number, fields)
            assert sent[b"authorization"] == f"Bearer {canary(name)}".encode()
            assert sent[b"host"] == b"%b.example" % name.encode()
            assert other.encode() not in b"".join((*sent, *sent.values())), (number, fields)
            assert len([1 for key, _ in attempt.headers if key == b"authorization"]) == 1
        seen += len(made)
    assert seen == 2 * SETS // 10


def test_not_even_an_owner_who_forwards_everything_forwards_credentials() -> None:
    rng = random.Random(SEED + 1)
    policy = ExchangeSettings(forward=GREEDY)
    for number in range(SETS // 10):
        fields = header_set(rng)
        request = ClientRequest("POST", "/", Headers(fields), b'{"messages":[]}')
        for attempt in attempts(request, policy):
            leaked = {
                key
                for key, value in attempt.headers
                if key in FORBIDDEN_TO_ALL and value.startswith(MARK)
            }
            assert leaked == set(), (number, fields)
