"""How a request would be routed, told without sending it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from llm_mesh_middleware._core.balance.sticky import Sticky
from llm_mesh_middleware._core.values.messages import ClientRequest
from tests.core.explaining import BACKEND, FOUR, SPLIT, explained, matched, reasons
from tests.core.tables import ACME, GLOBEX, picked, provider, request, route, table, virtual_host
from tests.rows import rows


@rows(
    ("match", "reason"),
    [
        ("{headers: {tier: {exact: gold}}}", "headers.tier.exact 'gold': the request has 'iron'"),
        ("{headers: {tier: {prefix: go}}}", "headers.tier.prefix 'go': the request has 'iron'"),
        ("{headers: {tier: {regex: g.*}}}", "headers.tier.regex 'g.*': the request has 'iron'"),
        ("{headers: {x-y: {}}}", "headers.x-y {}: the request has none"),
        ("{headers: {x-y: {exact: a}}}", "headers.x-y.exact 'a': the request has none"),
        ("{path: {prefix: /v1}}", "path.prefix '/v1': the request has '/'"),
        ("{method: {exact: GET}}", "method.exact 'GET': the request has 'POST'"),
        ("{model: {exact: qwen}}", "model.exact 'qwen': the request has 'other'"),
        ("{attributes: {plan: {exact: a}}}", "attributes.plan.exact 'a': the request has 'b'"),
        ("{attributes: {a b: {}}}", "attributes['a b'] {}: the request has none"),
    ],
)
def test_a_rule_that_loses_says_which_condition_fails_in_the_manifests_words(
    match: str, reason: str
) -> None:
    asked = request("tier: iron", body='{"model": "other"}', attributes={"plan": "b"})
    assert matched(match, asked) == [
        ("skipped", f"matches[0].{reason}"),
        ("selected", "matches everything"),
    ]


def test_every_condition_that_fails_is_told_and_no_other() -> None:
    asked = request("a: 1")
    match = "{headers: {a: {exact: '1'}, b: {}, c: {}}}, {headers: {d: {}}}"
    assert matched(match, asked)[0] == (
        "skipped",
        "matches[0].headers.b {}: the request has none",
        "matches[0].headers.c {}: the request has none",
        "matches[1].headers.d {}: the request has none",
    )


def test_a_rule_that_wins_says_by_which_match() -> None:
    asked = request("b: 1")
    assert matched("{headers: {a: {}}}, {headers: {b: {exact: '1'}}}", asked) == [
        ("selected", "matches[1] holds: headers.b.exact '1'"),
        ("skipped", "matches too, but first comes first"),
    ]


@pytest.mark.parametrize(
    ("match", "reason"),
    [
        ("{sourceLabels: {app: web}}", "this workload has no label app=web"),
        ("{gateways: [edge]}", "gateways edge are not this workload's"),
    ],
)
def test_what_the_workload_is_not_is_a_reason(match: str, reason: str) -> None:
    assert matched(match, request())[0] == ("skipped", f"matches[0]: {reason}")


def test_where_no_rule_holds_the_refusal_is_told_after_all_reasons() -> None:
    told = explained(provider(), route(f"- {{matches: [{{headers: {{a: {{}}}}}}], {BACKEND}}}"))
    assert reasons(told) == [("skipped", "matches[0].headers.a {}: the request has none")]
    assert told.refusal is not None
    assert (told.refusal.status, told.refusal.code) == (404, "route_not_found")
    assert (told.is_served, told.backends, told.rule) == (False, (), None)


@rows(
    ("asked", "code"),
    [
        (request(path="/v1/unknown"), "unsupported_operation"),
        (request(method="GET"), "method_not_allowed"),
        (request(body="[1]"), "invalid_json"),
    ],
)
def test_a_request_that_is_refused_before_any_rule_is_told(asked: ClientRequest, code: str) -> None:
    told = explained(provider(), route(f"- {{{BACKEND}}}"), asked=asked)
    assert told.refusal is not None
    assert (told.refusal.code, told.rules, told.route) == (code, (), "route")


def test_a_provider_that_knows_only_chat_refuses_the_rest() -> None:
    odd = provider(spec="path: /odd")
    told = explained(odd, route(f"- {{{BACKEND}}}"), asked=request(path="/v1/embeddings"))
    assert told.refusal is not None
    assert (told.refusal.code, told.rule) == ("unsupported_operation", "rules[0]")


def test_a_host_of_no_route_is_told_with_those_there_are() -> None:
    asked = request()
    asked = replace(asked, host="nowhere.example")
    told = explained(provider(), route(f"- {{{BACKEND}}}"), asked=asked)
    assert told.refusal is not None
    assert "'nowhere.example' is not a virtual host" in told.refusal.message
    assert f"expected one of: chat, {ACME}" in told.refusal.message


def test_a_method_that_is_not_given_is_the_operations_own() -> None:
    documents = provider(), route(f"- {{{BACKEND}}}")
    for path, method in (("/", "POST"), ("/v1/models", "GET"), ("/what", "POST")):
        assert explained(*documents, asked=request(method="", path=path)).method == method


def test_the_shares_of_a_split_add_up_in_each_priority() -> None:
    told = explained(*FOUR, route(SPLIT))
    assert [(b.host, b.priority, b.share) for b in told.backends] == [
        (ACME, 0, 0.75),
        (GLOBEX, 0, 0.25),
        ("third.example", 1, 0.5),
        ("fourth.example", 1, 0.5),
    ]
    assert not any(backend.is_sticky_choice for backend in told.backends)


@rows("user", [f"user-{number}" for number in range(8)])
def test_a_sticky_key_tells_the_very_backend_of_the_request(user: str) -> None:
    sticky = SPLIT.rstrip() + "\n  stickyBy: {header: x-user}\n"
    documents = (*FOUR, route(sticky))
    told = explained(*documents, asked=request(f"x-user: {user}"))
    assert told.sticky is not None
    assert (told.sticky.field, told.sticky.value) == ("header x-user", user)
    chosen = [b.host for b in told.backends if b.is_sticky_choice and b.priority == 0]
    tier = virtual_host(table(*documents)).rules[0].backends.tiers[0]
    asked = request(f"x-user: {user}")
    by_user = picked(tier, Sticky("header", "x-user"), asked, lambda: 0.0)
    assert chosen == [by_user.backend.upstream.host]


def test_without_the_sticky_header_there_is_no_choice() -> None:
    sticky = SPLIT.rstrip() + "\n  stickyBy: {header: x-user}\n"
    told = explained(*FOUR, route(sticky))
    assert told.sticky is not None
    assert told.sticky.value is None
    assert not any(backend.is_sticky_choice for backend in told.backends)


def test_a_backend_that_cannot_serve_the_operation_has_no_share() -> None:
    odd = provider(GLOBEX, spec="path: /odd")
    backends = f"[{{providerHost: {ACME}, weight: 1}}, {{providerHost: {GLOBEX}, weight: 9}}]"
    documents = provider(), odd, route(f"- {{backendRefs: {backends}}}")
    told = explained(*documents, asked=request(path="/v1/embeddings"))
    assert [(backend.host, backend.share) for backend in told.backends] == [(ACME, 1.0)]
