"""Which header fields of a provider's answer reach the client, and those that the mesh adds."""

from __future__ import annotations

import pytest

from llm_mesh_middleware._core.flow.exchange import ExchangePolicy
from tests.core.scripted import ANSWER, JSON, answers, play
from tests.core.tables import ACME, provider, request, route, table

# The provider's fields, those that the client gets.
DOWNSTREAM = [
    (["x-request-id: r1"], ["x-request-id: r1"]),
    (["openai-processing-ms: 5"], ["openai-processing-ms: 5"]),
    (["x-ratelimit-remaining-tokens: 5"], ["x-ratelimit-remaining-tokens: 5"]),
    (["retry-after: 3"], ["retry-after: 3"]),
    (["retry-after-ms: 300"], ["retry-after-ms: 300"]),
    (["x-anything: a", "x-anything: b"], ["x-anything: a", "x-anything: b"]),
    (["cache-control: no-store"], ["cache-control: no-store"]),
    # of the provider's connection
    (["connection: keep-alive", "keep-alive: timeout=5"], []),
    (["connection: close, x-hop", "x-hop: 1", "x-other: 2"], ["x-other: 2"]),
    (["connection: X-Hop", "x-hop: 1"], []),
    (["transfer-encoding: chunked"], []),
    (["trailer: x"], []),
    (["te: trailers"], []),
    (["upgrade: h2c"], []),
    (["proxy-connection: close"], []),
    (["proxy-authenticate: Basic"], []),
    (["proxy-authentication-info: x"], []),
    # of its origin, which the client does not know
    (["set-cookie: a=1", "set-cookie: b=2"], []),
    (["strict-transport-security: max-age=1"], []),
    (["alt-svc: h3"], []),
    (["server: acme", "date: Thu, 01 Jan 1970 00:00:00 GMT"], []),
    # only this mesh says how it routed
    (["x-llm-mesh-provider: liar", "x-llm-mesh-key: x"], []),
    # the length is counted anew
    (["content-length: 5"], []),
    (["content-length: 5", "content-length: 6"], []),
]


@pytest.mark.parametrize(("fields", "wanted"), DOWNSTREAM, ids=str)
@pytest.mark.parametrize("status", [200, 429])
def test_an_answers_fields_are_passed_on_without_those_of_its_connection(
    fields: list[str], wanted: list[str], status: int
) -> None:
    body = ANSWER if status == 200 else b'{"error":{}}'
    performed = play(
        table(provider()),
        request(),
        *answers(status, body, JSON, *fields),
        host=ACME,
        policy=ExchangePolicy(show_routing=False),
    )
    assert performed.reply is not None
    made = [f"{name.decode()}: {value.decode()}" for name, value in performed.reply.headers]
    assert sorted(made) == sorted([JSON, f"content-length: {len(body)}", *wanted])


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


@pytest.mark.parametrize(
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


@pytest.mark.parametrize(
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
        policy=ExchangePolicy(show_routing=False),
    ).reply
    assert reply is not None
    assert [name for name, _ in reply.headers if name.startswith(b"x-llm-mesh-")] == []
