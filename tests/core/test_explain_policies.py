"""Which policies apply to a request, told without sending it."""

from __future__ import annotations

import json

from llm_mesh_middleware._core.explaining.explainer import explain_request
from llm_mesh_middleware._core.explaining.explanation import Explanation
from llm_mesh_middleware._core.http.forwarding import ForwardPolicy
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from tests.core.tables import provider, route, table

RULES = "- {name: main, backendRefs: [{providerHost: acme.example}]}"
NOW = 1_795_910_400.0  # 2026-11-29
HEAD = """\
apiVersion: llm-mesh.dev/v1alpha1
kind: LLMPolicy
metadata: {name: team}
spec:
"""
OTHER = "prices: [{model: {exact: other}, perMillion: {input: '0'}}]"
PRICES = "prices: [{perMillion: {input: '0', output: '1000000'}}]"


def explained(
    spec: str, attributes: dict[str, str] | None = None, prices: str = PRICES
) -> Explanation:
    routes = table(provider(spec=prices), route(RULES, name="chat"), HEAD + spec)
    body = b'{"model": "m", "max_tokens": 100, "messages": []}'
    asked = ClientRequest(
        "POST", "/v1/chat/completions", Headers(), body, attributes or {}, host="chat"
    )
    return explain_request(routes, asked, forward=ForwardPolicy(), wall_now=NOW)


def texts(spec: str, **words: object) -> list[tuple[bool, str]]:
    found = explained(spec, **words).policies  # type: ignore[arg-type]
    return [(each.holds, each.text) for each in found]


def test_a_limit_says_what_it_would_reserve_and_by_which_key() -> None:
    spec = "  limits: [{name: tpm, tokens: 100k, by: [consumer, model], reserve: max}]"
    (item,) = explained(spec, {"consumer": "alice"}).policies
    assert (item.policy, item.item, item.kind) == ("default/team", "tpm", "tokens")
    assert item.holds
    assert item.text.startswith("reserves 112 of 100000 tokens each 60 s for each consumer, model;")
    assert "key {default/team/tpm/" in item.text
    assert "alice" not in item.text


def test_an_item_says_why_it_does_nothing() -> None:
    spec = """\
  limits:
  - {name: a, requests: 1, by: ["attribute:team"], onMissing: skip}
  - {name: b, requests: 1, by: ["attribute:team"], onMissing: deny}
  - {name: c, requests: 1, when: [{model: {exact: other}}]}
"""
    assert texts(spec) == [
        (False, "the request has no attribute:team, so it is not counted"),
        (False, "the request has no attribute:team, so it is refused with 403"),
        (False, "no `when` of it matches"),
    ]


def test_those_who_lack_a_value_share() -> None:
    ((holds, text),) = texts("  limits: [{name: a, concurrency: 3, by: [consumer], shadow: true}]")
    assert holds
    assert text.startswith("3 requests at a time for each consumer (shadow: refuses nothing); with")
    assert "without attribute:consumer it shares" in text


def test_a_budget_says_what_it_would_reserve_and_until_when_it_holds() -> None:
    ((holds, text),) = texts("  budgets: [{name: m, amount: 5000, per: month}]")
    assert holds
    until = "2026-12-01T00:00+00:00"
    assert text.startswith(f"reserves 100 of 5000 USD until {until} for all together; key")


def test_a_budget_says_if_the_model_has_no_price() -> None:
    ((_, text),) = texts("  budgets: [{name: m, amount: 5, per: day}]", prices=OTHER)
    assert "the model has no price in USD and does not count" in text


def test_items_of_attempts_name_the_provider() -> None:
    spec = "  targetRefs: [{kind: LLMProvider, name: acme}]\n  limits: [{name: a, requests: 7}]"
    (item,) = explained(spec).policies
    assert (item.provider, item.holds) == ("acme", True)


def test_a_cache_and_guards_are_told_in_the_order_in_which_they_act() -> None:
    spec = """\
  limits: [{name: rpm, requests: 1}, {name: tpm, tokens: 10}]
  cache: {vary: []}
  guards:
  - name: words
    on: [request, response]
    keywords: {deny: [bluebird]}
    action: {deny: {}}
"""
    found = explained(spec).policies
    assert [each.item for each in found] == ["words", "rpm", "cache", "tpm", "words"]
    assert found[0].text == "denies what it finds in the request"
    assert found[4].text == "denies what it finds in the response"


def test_people_read_it_as_a_section() -> None:
    text = explained("  limits: [{name: a, requests: 7}]").to_text()
    line = next(line for line in text.splitlines() if "default/team/a" in line)
    assert line.split()[:3] == ["holds", "default/team/a", "requests"]


def test_a_cache_says_which_temperatures_it_is_for() -> None:
    ((holds, text),) = texts("  cache: {vary: [], maxTemperature: 0.5}")
    assert not holds
    assert text == "it is for requests that set a temperature of at most 0.5"


def test_the_key_of_the_cache_is_that_of_the_masked_request() -> None:
    guards = "guards: [{name: pii, pii: {}, action: {mask: {unmask: true}}}]"
    spec = f"  cache: {{vary: []}}\n  {guards}"

    def key(name: str, spec: str) -> str:
        messages = [{"role": "user", "content": f"I am {name}@example.com"}]
        routes = table(provider(), route(RULES, name="chat"), HEAD + spec)
        body = json.dumps({"messages": messages}).encode()
        asked = ClientRequest("POST", "/v1/chat/completions", Headers(), body, host="chat")
        found = explain_request(routes, asked, forward=ForwardPolicy(), wall_now=NOW)
        return next(each.text for each in found.policies or () if each.kind == "cache")

    assert key("anna", spec) == key("bob", spec)
    assert key("anna", "  cache: {vary: []}") != key("bob", "  cache: {vary: []}")
