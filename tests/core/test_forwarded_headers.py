"""Which fields of a request reach the provider: a short list, and never those of this hop."""

from __future__ import annotations

import random

from llm_mesh_middleware._core.flow.attempts.context import ExchangeSettings
from llm_mesh_middleware._core.http.forwarding import ForwardPolicy
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest, UpstreamRequest
from tests.canaries import canary
from tests.core.scripted import sent
from tests.core.tables import ACME, provider, request, route, table
from tests.rows import rows

KEY = canary("forwarded")
ROUTES = table(provider(openai=f"{{apiKey: {KEY}, headers: {{x-acme-org: ours}}}}"))

# What the mesh and the configuration set themselves.
OWN = {
    b"host": ACME.encode(),
    b"content-type": b"application/json",
    b"accept-encoding": b"identity",
    b"x-acme-org": b"ours",
    b"authorization": b"Bearer " + KEY.encode(),
}

FORWARDED = [
    "accept: text/event-stream",
    "accept-language: de",
    "user-agent: acme/1.0",
    "x-request-id: r-1",
    "idempotency-key: k-1",
    "openai-beta: assistants=v2",
    "anthropic-version: 2023-06-01",
    "x-dashscope-sse: enable",
    "x-stainless-lang: python",
    "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
]
LISTED = [field.partition(":")[0] for field in FORWARDED]

# RFC 9110 7.6.1 and its history, credentials, and what tells of the client or of another address.
NEVER = [
    "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    "authorization", "proxy-authorization", "proxy-authenticate", "cookie", "x-api-key",
    "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port",
    "x-forwarded-prefix", "x-forwarded-anything", "x-real-ip", "via", "host", "content-length",
    "content-encoding", "accept-encoding", "expect", "x-original-url", "x-rewrite-url", "api-key",
    "x-llm-mesh-hops",
]  # fmt: skip

# Members of forwarded families that choose the account which pays, or are a credential.
ACCOUNTS = [
    "openai-organization", "openai-project", "x-dashscope-workspace", "x-dashscope-workspaceid",
    "x-dashscope-apikey", "anthropic-workspace", "anthropic-workspace-id", "anthropic-organization",
    "anthropic-auth-token", "openai-account",
]  # fmt: skip

# Nobody forbids these; nobody asked for them either.
UNLISTED = [
    "x-custom", "baggage", "origin", "referer", "range", "date", "user-type", "x-openai-target-url",
    "x-portkey-custom-host", "x-http-method-override", "cf-connecting-ip", "true-client-ip",
    "x-amz-security-token", "openai", "x-openai-key", "dashscope-x", "x_forwarded_for",
]  # fmt: skip


def headers_of(asked: ClientRequest, *patterns: str) -> list[tuple[bytes, bytes]]:
    policy = ExchangeSettings(forward=ForwardPolicy.extended(patterns))
    return list(sent(ROUTES, asked, host=ACME, policy=policy).headers)


def test_a_request_without_fields_carries_those_of_the_mesh_and_the_configuration() -> None:
    assert sorted(headers_of(request())) == sorted(OWN.items())


@rows("field", FORWARDED)
def test_listed_fields_go_upstream_as_they_are(field: str) -> None:
    name, _, value = field.partition(":")
    assert (name.encode(), value.encode()) in headers_of(request(field))
    assert len(headers_of(request(field))) == len(OWN) + 1


@rows("name", NEVER + UNLISTED + ACCOUNTS)
def test_other_fields_do_not(name: str) -> None:
    assert sorted(headers_of(request(f"{name}: of-the-client"))) == sorted(OWN.items())


@rows("name", ACCOUNTS)
@rows("pattern", ["{name}", "{family}-*"])
def test_the_owner_may_let_clients_choose_the_account(name: str, pattern: str) -> None:
    family = name.rpartition("-")[0]
    made = headers_of(request(f"{name}: v"), pattern.format(name=name, family=family))
    assert (name.encode(), b" v") in made


@rows("name", NEVER)
@rows("pattern", ["{name}", "*", "{start}*", "{name}*"])
def test_no_setting_makes_a_forbidden_field_go_upstream(name: str, pattern: str) -> None:
    start = name.partition("-")[0] + "-"
    made = headers_of(
        request(f"{name}: of-the-client"), pattern.format(name=name, start=start), "authorization"
    )
    assert sorted(made) == sorted(OWN.items())


@rows(
    ("pattern", "name", "is_forwarded"),
    [
        ("x-custom", "x-custom", True),
        ("x-custom", "x-custom-2", False),
        ("x-tenant-*", "x-tenant-id", True),
        ("x-tenant-*", "x-tenant-", True),
        ("x-tenant-*", "x-tenant", False),
        ("x-tenant-*", "x-tenants-id", False),
        ("baggage", "baggage", True),
    ],
)
def test_settings_add_names_and_prefixes(pattern: str, name: str, is_forwarded: bool) -> None:
    made = headers_of(request(f"{name}: v"), pattern)
    assert ((name.encode(), b" v") in made) == is_forwarded


def test_a_field_sent_twice_goes_upstream_twice_and_in_order() -> None:
    made = headers_of(request("accept: b", "x-request-id: 1", "accept: a"))
    kept = [field for field in made if field[0] not in OWN]
    assert kept == [(b"accept", b" b"), (b"x-request-id", b" 1"), (b"accept", b" a")]


@rows(
    "connection",
    [
        ["openai-beta"],
        ["OpenAI-Beta"],
        ["close, openai-beta"],
        ["openai-beta,close"],
        ["keep-alive", "openai-beta"],
        [" openai-beta "],
        ["x,, openai-beta ,"],
    ],
)
def test_a_field_that_connection_names_stays_here(connection: list[str]) -> None:
    fields = [f"connection: {value}" for value in connection]
    made = headers_of(request("openai-beta: 1", "accept: a", *fields))
    assert [field for field in made if field[0] not in OWN] == [(b"accept", b" a")]


@rows("connection", ["authorization, host, content-type, accept-encoding, x-acme-org", "*", ""])
def test_connection_takes_nothing_of_the_meshs_own_away(connection: str) -> None:
    assert sorted(headers_of(request(f"connection: {connection}"))) == sorted(OWN.items())


def test_a_configured_field_goes_before_the_clients() -> None:
    routes = table(provider(openai="{headers: {openai-beta: ours, user-agent: mesh}}"))
    asked = request("openai-beta: theirs", "user-agent: theirs", "anthropic-beta: theirs")
    made = sent(routes, asked, host=ACME).headers
    assert [value for name, value in made if name == b"openai-beta"] == [b"ours"]
    assert [value for name, value in made if name == b"user-agent"] == [b"mesh"]
    assert (b"anthropic-beta", b" theirs") in made


def test_no_key_no_authorization() -> None:
    made = sent(table(provider()), request("authorization: Bearer theirs"), host=ACME).headers
    assert b"authorization" not in dict(made)


def test_a_host_rewrite_changes_the_host_field_and_nothing_else() -> None:
    rules = f"- backendRefs: [{{providerHost: {ACME}, hostRewrite: 'other.example:8080'}}]"
    plain, rewritten = (
        sent(table(provider(), route(text)), request("host: theirs.example"))
        for text in (rules.replace(", hostRewrite: 'other.example:8080'", ""), rules)
    )
    assert rewritten.headers[0] == (b"host", b"other.example:8080")
    assert plain.headers[0] == (b"host", ACME.encode())
    assert rewritten.headers[1:] == plain.headers[1:]
    assert rewritten.endpoint == plain.endpoint


def test_a_repr_shows_the_names_of_fields_and_no_value() -> None:
    shown = repr(Headers([(b"authorization", b"Bearer " + KEY.encode())]))
    assert "authorization" in shown
    assert KEY not in shown


def _random_request(rng: random.Random) -> tuple[ClientRequest, list[str], set[str]]:
    """Fields of all sorts, some of them named by Connection; the settings; the names it names."""
    groups = rng.choices((NEVER, UNLISTED, LISTED), k=rng.randint(0, 12))
    fields = [f"{rng.choice(group)}: theirs-{rng.random()}" for group in groups]
    named = {rng.choice(LISTED + UNLISTED + NEVER) for _ in range(rng.randint(0, 3))}
    spelled = [name.title() if rng.random() < 0.5 else name for name in named]
    fields.append(f"connection: {rng.choice((',', ', ', ' ,')).join(spelled)}")
    rng.shuffle(fields)
    patterns = rng.choices([*NEVER, *UNLISTED, "x-*", "x-forwarded-*", "proxy-*", "*"], k=3)
    return request(*fields), patterns, named


def test_no_forbidden_field_reaches_a_provider_in_a_thousand_random_requests() -> None:
    rng = random.Random(9110)
    forwarded = 0
    for _ in range(1_000):
        asked, patterns, named = _random_request(rng)
        made = headers_of(asked, *patterns)
        theirs = {name.decode() for name, value in made if value.strip().startswith(b"theirs")}
        assert theirs.isdisjoint(NEVER)
        assert theirs.isdisjoint(named)
        assert [field for field in made if field[0] in OWN] == list(_in_order(made))
        forwarded += len(theirs)
    assert forwarded > 1_000  # or nothing was looked at


def _in_order(made: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The mesh's own fields, each once, in the order of every request: the key comes last."""
    assert len(made) >= len(OWN)
    first = len(OWN) - 1
    return [(name, OWN[name]) for name, _ in (*made[:first], made[-1])]


def test_a_request_upstream_shows_neither_fields_nor_body() -> None:
    made: UpstreamRequest = sent(ROUTES, request(body='{"messages": "secret-prompt"}'), host=ACME)
    assert KEY not in repr(made)
    assert "secret-prompt" not in repr(made)
