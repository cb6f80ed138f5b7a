"""Which header fields of a provider's answer reach the client, and those that the mesh adds."""

from __future__ import annotations

from llm_mesh_middleware._core.flow.attempts.context import ExchangeSettings
from llm_mesh_middleware._core.http.response_headers import NOSNIFF as NOSNIFF_FIELD
from llm_mesh_middleware._core.http.response_headers import (
    client_headers,
    instead_of_quota,
    safe_media_type,
)
from llm_mesh_middleware._core.values.headers import Headers
from tests.core.scripted import ANSWER, JSON, answers, play
from tests.core.tables import ACME, provider, request, route, table
from tests.rows import rows

# The provider's fields that describe its response, as a client gets them.
PASSED = [
    "x-request-id: r1",
    "request-id: r1",
    "apim-request-id: r1",
    "x-amzn-requestid: r1",
    "x-ms-request-id: r1",
    "cf-ray: 8f0-FRA",
    "openai-processing-ms: 5",
    "openai-version: 2020-10-01",
    "anthropic-ratelimit-requests-remaining: 5",
    "x-dashscope-call-gateway: true",
    "x-groq-region: eu",
    "x-ratelimit-remaining-tokens: 5",
    "ratelimit: limit=10, remaining=5",
    "ratelimit-policy: 10;w=60",
    "retry-after: 3",
    "retry-after-ms: 300",
    "x-should-retry: true",
    "server-timing: total;dur=5",
    "x-envoy-upstream-service-time: 5",
    "cache-control: no-store",
    "cache-control: no-cache, no-transform",
    "x-accel-buffering: no",
]

# Fields of the provider's connection, of its origin, for a proxy in front, or of no known family.
DROPPED = [
    ["connection: keep-alive", "keep-alive: timeout=5"],
    ["connection: close, x-request-id", "x-request-id: 1"],
    ["connection: X-Request-Id", "x-request-id: 1"],
    ["transfer-encoding: chunked"],
    ["trailer: x"],
    ["te: trailers"],
    ["upgrade: h2c"],
    ["proxy-connection: close"],
    ["proxy-authenticate: Basic"],
    ["proxy-authentication-info: x"],
    ["www-authenticate: Basic realm=x"],
    ["authentication-info: x"],
    ["set-cookie: a=1", "set-cookie: b=2"],
    ["set-cookie2: a=1"],
    ["strict-transport-security: max-age=1"],
    ["alt-svc: h3"],
    ["server: acme", "date: Thu, 01 Jan 1970 00:00:00 GMT"],
    ["access-control-allow-origin: *", "access-control-allow-credentials: true"],
    ["clear-site-data: *"],
    ["refresh: 0; url=https://acme.example/"],
    ["link: </x>; rel=preload"],
    ["location: https://acme.example/"],
    ["content-location: /x"],
    ["x-accel-redirect: /secret"],
    ["x-accel-buffering: yes"],
    ["x-accel-expires: 3600"],
    ["x-sendfile: /etc/passwd"],
    ["x-lighttpd-send-file: /etc/passwd"],
    ["x-reproxy-url: http://10.0.0.1/"],
    ["content-security-policy: default-src *"],
    ["content-disposition: attachment"],
    ["cache-control: public, max-age=3600"],
    ["cache-control: no-cache, max-age=3600"],
    ["expires: Thu, 01 Jan 2099 00:00:00 GMT"],
    ["etag: x"],
    ["service-worker-allowed: /"],
    ["report-to: {}", "nel: {}"],
    ["x-content-type-options: sniff"],
    ["x-anything: a", "x-anything: b"],
    ["x-request-id-" + "x" * 300 + ": 1"],
    ["x-ratelimit-" + "x" * 300 + ": 1"],
    # only this mesh says how it routed
    ["x-llm-mesh-provider: liar", "x-llm-mesh-key: x"],
    # the length is counted anew
    ["content-length: 5"],
    ["content-length: 5", "content-length: 6"],
]
NOSNIFF = "x-content-type-options: nosniff"


def passed_on(status: int, *fields: str) -> list[str]:
    """The fields of a reply for a response with `fields`, without those it always has."""
    body = ANSWER if status == 200 else b'{"error":{}}'
    performed = play(
        table(provider()),
        request(),
        *answers(status, body, JSON, *fields),
        host=ACME,
        policy=ExchangeSettings(show_routing=False),
    )
    assert performed.reply is not None
    made = [f"{name.decode()}: {value.decode()}" for name, value in performed.reply.headers]
    for always in (JSON, f"content-length: {len(body)}", NOSNIFF):
        made.remove(always)
    return made


@rows("field", PASSED)
@rows("status", [200, 429])
def test_a_field_that_describes_the_response_reaches_the_client(field: str, status: int) -> None:
    assert passed_on(status, field) == [field]


@rows("fields", DROPPED, ids=str)
@rows("status", [200, 429])
def test_any_other_field_of_a_provider_stays_here(fields: list[str], status: int) -> None:
    assert passed_on(status, *fields) == []


@rows(
    "value",
    [
        b"application/json",
        b"Application/JSON; charset=utf-8",
        b"application/problem+json",
        b"application/x-ndjson",
        b"text/event-stream; charset=utf-8",
        b"audio/mpeg",
        b"application/octet-stream",
    ],
)
def test_a_safe_media_type_is_kept_as_it_is(value: bytes) -> None:
    assert safe_media_type(value) == value


@rows(
    "value",
    [
        b"text/html",
        b"text/html; a=application/json",
        b"application/xhtml+xml",
        b"image/svg+xml",
        b"text/javascript",
        b"multipart/x-mixed-replace; boundary=x",
        b"application/json, text/html",
        b"",
    ],
)
def test_any_other_media_type_becomes_that_of_octets(value: bytes) -> None:
    assert safe_media_type(value) == b"application/octet-stream"


@rows("label", ["text/html", "text/plain", "application/octet-stream", ""])
def test_a_json_response_that_is_labelled_otherwise_reaches_the_client_as_json(label: str) -> None:
    fields = [f"content-type: {label}"] if label else []
    reply = play(table(provider()), request(), *answers(200, ANSWER, *fields), host=ACME).reply
    assert reply is not None
    made = [value for name, value in reply.headers if name == b"content-type"]
    assert made == [b"application/json"]


def test_of_two_media_types_one_reaches_the_client() -> None:
    made = client_headers(Headers([(b"content-type", b"text/html"), (b"content-type", b"a/b")]))
    assert made == [(b"content-type", b"application/octet-stream"), NOSNIFF_FIELD]


def shown(name: str, *, model: str = '"m"', openai: str = "{}", rule: str = "tier") -> bytes:
    """The value of an `x-llm-mesh-*` field for a client that asks for `model`."""
    routes = table(
        provider(openai=openai, name="acme-prod"),
        route(f"- name: {rule}\n  backendRefs: [{{providerHost: {ACME}}}]", name="chat-route"),
    )
    asked = request(body=f'{{"model": {model}}}')
    reply = play(routes, asked, *answers(200, ANSWER, JSON)).reply
    assert reply is not None
    (value,) = [value for key, value in reply.headers if key == b"x-llm-mesh-" + name.encode()]
    return value


@rows(
    ("name", "value"),
    [
        ("provider", b"acme-prod"),
        ("route", b"chat-route"),
        ("rule", b"tier"),
        ("model", b"m"),
        ("attempts", b"1"),
    ],
)
def test_an_answer_tells_how_it_was_routed(name: str, value: bytes) -> None:
    assert shown(name) == value


@rows(
    ("openai", "model", "value"),
    [
        ("{model: configured}", '"asked"', b"configured"),
        ("{modelMapping: {asked: theirs}}", '"asked"', b"theirs"),
        ("{defaults: {model: usual}}", "null", b""),
        ("{}", "null", b""),
        ("{}", "5", b""),
        ("{}", r'"a\r\nset-cookie: x=1"', b"a??set-cookie: x=1"),
        ("{}", r'"a\u0000\u0007\u007f\u0085b"', b"a????b"),
        ("{}", '"模型-1"', b"??-1"),
        ("{}", '"café"', b"caf?"),
        ("{}", r'"\u2028\u202e\ud83d\ude00"', b"???"),
        ("{}", '"' + "m" * 5000 + '"', b"m" * 256),
        ("{}", '"' + "é" * 5000 + '"', b"?" * 256),
    ],
)
def test_a_model_name_cannot_make_a_field_of_its_own(openai: str, model: str, value: bytes) -> None:
    assert shown("model", model=model, openai=openai) == value


def test_names_of_a_manifest_are_made_harmless_too() -> None:
    assert shown("rule", rule="vip-ü") == b"vip-?"


def test_a_default_model_is_shown_as_the_one_asked_for() -> None:
    routes = table(provider(openai="{defaults: {model: usual}}"))
    reply = play(routes, request(), *answers(200, ANSWER, JSON), host=ACME).reply
    assert reply is not None
    assert (b"x-llm-mesh-model", b"usual") in reply.headers


def test_a_mesh_may_be_told_to_keep_its_routing_to_itself() -> None:
    reply = play(
        table(provider()),
        request(),
        *answers(200, ANSWER, JSON),
        host=ACME,
        policy=ExchangeSettings(show_routing=False),
    ).reply
    assert reply is not None
    assert [name for name, _ in reply.headers if name.startswith(b"x-llm-mesh-")] == []


def test_the_fields_of_a_limit_replace_those_of_the_providers_quota() -> None:
    told = (b"x-ratelimit-limit-tokens", b"100")
    kept, others = (b"x-request-id", b"1"), (b"content-length", b"2")
    for quota in (
        [],
        [(b"ratelimit", b"limit=10"), (b"x-ratelimit-remaining-requests", b"5")],
        [(b"anthropic-ratelimit-tokens-remaining", b"5")],
    ):
        fields = [kept, *quota, NOSNIFF_FIELD, others]
        assert instead_of_quota(fields, (told,)) == [kept, NOSNIFF_FIELD, others, told]
    assert instead_of_quota([kept], (told,)) == [kept, told]
