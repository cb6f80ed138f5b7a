"""What an explanation tells of the upstream request, without a secret."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from llm_mesh_middleware._core.explaining.explainer import explain_request
from llm_mesh_middleware._core.http.forwarding import ForwardPolicy
from tests.canaries import canary
from tests.core.explaining import BACKEND, FOUR, SPLIT, explained, matched
from tests.core.tables import ACME, GLOBEX, provider, request, route, table
from tests.rows import rows

KEY = canary("explain")
HEADER_SECRET = canary("header")


def body_changes(openai: str, body: str, path: str = "/") -> dict[str, tuple[str, str | None]]:
    asked = request(path=path, body=body)
    told = explained(provider(openai=openai), route(f"- {{{BACKEND}}}"), asked=asked)
    return {change.name: (change.action, change.value) for change in told.backends[0].body}


@rows(
    ("openai", "body", "changes"),
    [
        ("{}", '{"model":"a"}', {}),
        ("{model: b}", '{"model":"a"}', {"model": ("replaced", '"b"')}),
        ("{model: b}", "{}", {"model": ("set", '"b"')}),
        ("{modelMapping: {a: c}}", '{"model":"a"}', {"model": ("replaced", '"c"')}),
        ("{stream: false}", "{}", {"stream": ("set", "false")}),
        (
            "{stream: false}",
            '{"stream":true,"stream_options":{}}',
            {"stream": ("replaced", "false"), "stream_options": ("removed", None)},
        ),
        ("{}", '{"stream":true}', {"stream_options": ("set", '{"include_usage":true}')}),
        ("{defaults: {temperature: 0.2}}", "{}", {"temperature": ("set", "0.2")}),
        ("{defaults: {temperature: 0.2}}", '{"temperature":1}', {}),
        ("{defaults: {user: private}}", "{}", {"user": ("set", "***")}),
        ("{defaults: {logprobs: true}}", "{}", {"logprobs": ("set", "true")}),
    ],
)
def test_the_members_that_would_be_set_are_told(
    openai: str, body: str, changes: dict[str, tuple[str, str | None]]
) -> None:
    assert body_changes(openai, body) == changes


def test_what_has_no_body_has_no_changes() -> None:
    told = explained(
        provider(),
        route(f"- {{{BACKEND}}}"),
        asked=request(method="", path="/v1/models", body=""),
    )
    assert (told.backends[0].body, told.backends[0].url) == ((), f"https://{ACME}/v1/models")


@rows(
    ("spec", "url", "connects_to"),
    [
        ("", f"https://{ACME}/v1/chat/completions", None),
        ("endpoint: 'https://acme.example'", f"https://{ACME}/v1/chat/completions", None),
        (
            "endpoint: http://127.0.0.1:8000",
            f"http://{ACME}/v1/chat/completions",
            "http://127.0.0.1:8000",
        ),
        ("path: /p?key=k1&api-version=2", f"https://{ACME}/p?key=***&api-version=2", None),
        ("path: /p?bare", f"https://{ACME}/p?***", None),
    ],
)
def test_a_url_is_told_by_the_providers_name(spec: str, url: str, connects_to: str | None) -> None:
    told = explained(provider(spec=spec), route(f"- {{{BACKEND}}}"))
    assert (told.backends[0].url, told.backends[0].connects_to) == (url, connects_to)


SECRETS = "{apiKey: '${KEY}', headers: {x-org: '${ORG}', x-team: short}}"
SECRETIVE = provider(openai=SECRETS, specific="{vip: {openAIConfig: {apiKey: '${OTHER}'}}}")


ENVIRON = {"KEY": KEY, "ORG": HEADER_SECRET, "OTHER": canary("other")}


def test_configured_headers_are_told_by_name_alone() -> None:
    told = explained(SECRETIVE, route(f"- {{{BACKEND}, name: vip}}"), environ=ENVIRON)
    assert told.backends[0].headers == (
        ("host", ACME),
        ("content-type", "application/json"),
        ("accept-encoding", "identity"),
        ("x-org", "***"),
        ("x-team", "***"),
        ("authorization", "Bearer ***"),
    )


def test_the_clients_own_headers_are_told_as_far_as_they_go_upstream() -> None:
    asked = request("user-agent:curl/8", "cookie:c-canary", "x-tenant:t1", "x-session-id:s-canary")
    forward = ForwardPolicy.extended(["x-tenant", "x-session-id"])
    told = explained(provider(), route(f"- {{{BACKEND}}}"), asked=asked, forward=forward)
    assert told.backends[0].headers[3:] == (
        ("user-agent", "curl/8"),
        ("x-tenant", "t1"),
        ("x-session-id", "***"),
    )


@rows("secret", [*ENVIRON.values(), canary("client")])
def test_a_secret_is_nowhere_wherever_it_was_put(secret: str) -> None:
    rules = f"""
    - name: first
      matches:
      - headers: {{authorization: {{exact: 'Bearer {secret}'}}, tier: {{exact: '{secret}'}}}}
      - attributes: {{plan: {{prefix: '{secret}'}}}}
        model: {{exact: '{secret}'}}
      {BACKEND}
    - name: vip
      stickyBy: {{header: x-user}}
      backendRefs: [{{providerHost: {ACME}}}, {{providerHost: {GLOBEX}}}]
    """
    asked = request(
        f"authorization: Bearer {secret} ",
        f"tier: x{secret}x",
        f"x-user: {secret}",
        f"user-agent: {secret}",
        f"accept-language: {secret}",
        path="/v1/chat/completions",
        body=json.dumps({"model": f"m-{secret}", "stream": True, "stream_options": {"a": secret}}),
        attributes={"plan": f"a{secret}", "token": secret},
    )
    asked = replace(asked, host="chat")
    told = explain_request(
        table(SECRETIVE, provider(GLOBEX), route(rules), environ=ENVIRON),
        asked,
        forward=ForwardPolicy(),
        secrets=[canary("client")],
    )
    assert told.rule == "vip"
    shown = told.to_text() + json.dumps(told.as_dict()) + repr(told)
    for start in range(len(secret) - 7):
        assert secret[start : start + 8] not in shown


@pytest.mark.parametrize("host", [f"sk-{KEY}.example", KEY])
def test_a_secret_in_the_place_of_a_host_is_not_repeated(host: str) -> None:
    asked = request(path=f"/{KEY}/chat/completions")
    asked = replace(asked, host=host)
    told = explained(
        SECRETIVE, route(f"- {{{BACKEND}, name: vip}}", "*"), asked=asked, environ=ENVIRON
    )
    assert KEY not in told.to_text() + repr(told)


def test_of_two_secrets_the_longer_is_masked_whole() -> None:
    asked = request("user-agent:abcdefgh12345678")
    asked = replace(asked, host="chat")
    routes = table(provider(), route(f"- {{{BACKEND}}}"))
    secrets = ["abcdefgh", "abcdefgh12345678"]
    told = explain_request(routes, asked, forward=ForwardPolicy(), secrets=secrets)
    assert ("user-agent", "***") in told.backends[0].headers


@rows("name", ["authorization", "cookie", "x-api-key", "x-team-token"])
def test_a_header_that_opens_doors_is_compared_in_private(name: str) -> None:
    match = f"{{headers: {{{name}: {{exact: one-canary}}}}}}"
    ((_, reason), _) = matched(match, request(f"{name}:other-canary"))
    assert reason == f"matches[0].headers.{name}.exact ***: the request has ***"


def test_a_sticky_key_that_opens_doors_is_not_told() -> None:
    rules = SPLIT.rstrip() + "\n  stickyBy: {header: x-session-id}\n"
    told = explained(*FOUR, route(rules), asked=request("x-session-id: s-canary"))
    assert told.sticky is not None
    assert told.sticky.value == "***"
    assert "canary" not in told.to_text()


def test_long_values_are_cut() -> None:
    asked = request(f"tier: {'x' * 500}")
    ((_, reason), _) = matched("{headers: {tier: {exact: gold}}}", asked)
    assert len(reason) < 150
    assert reason.endswith("…'")


def test_the_limits_of_the_rule_are_told() -> None:
    rules = f"- {{{BACKEND}, retry: {{attempts: 1, codes: [500, e]}}, timeouts: {{idle: 7s}}}}"
    told = explained(provider(), route(rules))
    assert told.retry is not None
    assert told.timeouts is not None
    assert (told.retry.attempts, told.timeouts.idle) == (1, 7.0)
    text = told.to_text()
    assert "at most 1 more attempt on failed connections, 500, e;" in text
    assert "idle 7 s" in text
    assert json.loads(json.dumps(told.as_dict()))["retry"]["codes"] == [500]


SHORT = """\
apiVersion: istio.alibabacloud.com/v1
kind: LLMProvider
metadata: {name: ollama}
spec:
  host: ollama
  path: /ollama/v1/chat/completions
  configs: {defaultConfig: {openAIConfig: {model: ollama/llama, apiKey: its-key}}}
"""


@rows("key", ["ollama", "llama", "v1", "chat", "o"])
def test_a_key_that_is_an_ordinary_word_masks_its_own_place_alone(key: str) -> None:
    rules = "- {name: ollama, backendRefs: [{providerHost: ollama}]}"
    asked = request(f"user-agent: {key}", "accept-language:chat in ollama v1")
    told = explained(SHORT.replace("its-key", f"'{key}'"), route(rules), asked=asked)
    (backend,) = told.backends
    assert (told.rule, backend.host, backend.model) == ("ollama", "ollama", "ollama/llama")
    assert backend.url == "https://ollama/ollama/v1/chat/completions"
    assert ("authorization", "Bearer ***") in backend.headers
    assert ("user-agent", "***") in backend.headers
    assert ("accept-language", "chat in ollama v1") in backend.headers


@pytest.mark.parametrize("sticky", ["header: x-user", "attribute: user"])
def test_a_missing_sticky_key_is_reported(sticky: str) -> None:
    rules = f"""
    - stickyBy: {{{sticky}}}
      backendRefs: [{{providerHost: {ACME}}}, {{providerHost: {GLOBEX}}}]
    """
    told = explained(provider(), provider(GLOBEX), route(rules))
    name = sticky.replace(": ", " ")
    assert f"the request has no {name}, so its backend is drawn at random" in told.to_text()
