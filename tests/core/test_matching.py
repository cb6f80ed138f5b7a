"""Which requests a match takes, and which rule of a route wins: the table a user may rely on."""

from __future__ import annotations

import pytest

from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware.exceptions import NoRouteMatched
from tests.core.tables import ACME, GLOBEX, compiled, provider, request, route, select, table
from tests.rows import rows

BACKEND = f"backendRefs: [{{providerHost: {ACME}}}]"


def model(name: str) -> ClientRequest:
    return request(body=f'{{"model": {name}}}')


def plan(**attributes: str) -> ClientRequest:
    return request(attributes=attributes)


EXACT = "headers: {user-type: {exact: subscriber}}"
PREFIX = "headers: {user-type: {prefix: sub}}"
REGEX = "headers: {user-type: {regex: 'sub(scriber)?|vip[0-9]+'}}"
PRESENT = "headers: {user-type: {}}"
TWO_HEADERS = "headers: {user-type: {exact: subscriber}, region: {exact: eu}}"

# What the match says, the request, whether the match takes it.
MATCHES = [
    # exact
    (EXACT, request("user-type: subscriber"), True),
    (EXACT, request("User-Type: subscriber"), True),
    (EXACT, request("USER-TYPE: subscriber"), True),
    (EXACT, request("user-type: Subscriber"), False),
    (EXACT, request("user-type: subscribers"), False),
    (EXACT, request("user-type: subscribe"), False),
    (EXACT, request("user-type:"), False),
    (EXACT, request("user-types: subscriber"), False),
    (EXACT, request("user_type: subscriber"), False),
    (EXACT, request(), False),
    (EXACT, request(body='{"user-type": "subscriber"}'), False),
    ("headers: {user-type: {exact: ''}}", request("user-type:"), True),
    ("headers: {user-type: {exact: ''}}", request(), False),
    ("headers: {user-type: {exact: café}}", request("user-type: café"), True),
    # optional white space around a value is no part of it, the one inside is
    (EXACT, request("user-type:subscriber"), True),
    (EXACT, request("user-type: \t subscriber \t"), True),
    (EXACT, request("user-type: sub scriber"), False),
    ("headers: {user-type: {exact: a b}}", request("user-type: a b"), True),
    ("headers: {user-type: {exact: a b}}", request("user-type: a  b"), False),
    # a field sent twice is its values joined by `, `, so no order makes a subscriber
    (EXACT, request("user-type: subscriber", "user-type: guest"), False),
    (EXACT, request("user-type: guest", "user-type: subscriber"), False),
    (EXACT, request("user-type: subscriber", "user-type: subscriber"), False),
    ("headers: {user-type: {exact: 'a, b'}}", request("user-type: a", "user-type: b"), True),
    ("headers: {user-type: {exact: 'a, b'}}", request("user-type: b", "user-type: a"), False),
    ("headers: {user-type: {exact: 'a, b'}}", request("user-type: a, b"), True),
    ("headers: {user-type: {exact: 'a, b'}}", request("user-type: a,b"), False),
    ("headers: {user-type: {exact: 'a, b'}}", request("user-type:  a\t", "user-type:b "), True),
    ("headers: {x: {exact: 'a, , b'}}", request("x: a", "x:", "x: b"), True),
    # prefix
    (PREFIX, request("user-type: subscriber"), True),
    (PREFIX, request("user-type: sub"), True),
    (PREFIX, request("user-type:   subscriber"), True),
    (PREFIX, request("user-type: su"), False),
    (PREFIX, request("user-type: Subscriber"), False),
    (PREFIX, request("user-type: a subscriber"), False),
    ("headers: {user-type: {prefix: ''}}", request("user-type: anything"), True),
    ("headers: {user-type: {prefix: ''}}", request(), False),
    # regex: the whole value
    (REGEX, request("user-type: sub"), True),
    (REGEX, request("user-type: subscriber"), True),
    (REGEX, request("user-type: vip12"), True),
    (REGEX, request("user-type: vip"), False),
    (REGEX, request("user-type: subscribers"), False),
    (REGEX, request("user-type: a sub"), False),
    (REGEX, request("user-type: SUB"), False),
    (REGEX, request("user-type: sub", "user-type: vip1"), False),
    ("headers: {user-type: {regex: '(?i)SUB'}}", request("user-type: sub"), True),
    ("headers: {user-type: {regex: 'a.*b'}}", request("user-type: a", "user-type: b"), True),
    ("headers: {user-type: {regex: 'a*'}}", request("user-type: " + "a" * 8192), True),
    ("headers: {user-type: {regex: 'a*'}}", request("user-type: " + "a" * 8193), False),
    # present
    (PRESENT, request("user-type: x"), True),
    (PRESENT, request("user-type:"), True),
    (PRESENT, request("user-type: ", "user-type: "), True),
    (PRESENT, request("other: x"), False),
    # all conditions of a match must hold
    (TWO_HEADERS, request("user-type: subscriber", "region: eu"), True),
    (TWO_HEADERS, request("region: eu", "user-type: subscriber"), True),
    (TWO_HEADERS, request("user-type: subscriber"), False),
    (TWO_HEADERS, request("region: eu"), False),
    (TWO_HEADERS, request("user-type: subscriber", "region: us"), False),
    # path: without the query, case-sensitive, not decoded
    ("path: {exact: /v1/chat/completions}", request(path="/v1/chat/completions"), True),
    ("path: {exact: /v1/chat/completions}", request(path="/v1/chat/completions/"), False),
    ("path: {exact: /v1/chat/completions}", request(path="/V1/chat/completions"), False),
    ("path: {prefix: /team-a/}", request(path="/team-a/v1/chat/completions"), True),
    ("path: {prefix: /team-a/}", request(path="/team-b/../team-a/chat/completions"), False),
    ("path: {prefix: /team-a/}", request(path="/%74eam-a/chat/completions"), False),
    ("path: {regex: '/team-[ab]/.*'}", request(path="/team-b/chat/completions"), True),
    ("path: {regex: '/team-[ab]/.*'}", request(path="/x/team-b/chat/completions"), False),
    ("path: {}", request(path="/"), True),
    # method
    ("method: {exact: GET}", request(method="GET"), True),
    ("method: {exact: GET}", request(method="POST"), False),
    ("method: {exact: get}", request(method="GET"), False),
    # the model that the body names
    ("model: {exact: gpt-4o}", model('"gpt-4o"'), True),
    ("model: {exact: gpt-4o}", model(r'"gpt\u002d4o"'), True),
    ("model: {exact: gpt-4o}", model('"gpt-4o-mini"'), False),
    ("model: {exact: gpt-4o}", model('"GPT-4o"'), False),
    ("model: {prefix: gpt-}", model('"gpt-4o-mini"'), True),
    ("model: {regex: 'qwen-.*'}", model('"qwen-turbo"'), True),
    ("model: {regex: '.*'}", model(f'"{"a" * 9000}"'), False),
    ("model: {}", model('""'), True),
    ("model: {}", model("null"), False),
    ("model: {}", model("5"), False),
    ("model: {}", model('["gpt-4o"]'), False),
    ("model: {}", request(), False),
    ("model: {exact: gpt-4o}", request(body='{"model": "x", "model": "gpt-4o"}'), True),
    ("model: {exact: gpt-4o}", request(body='{"model": "gpt-4o", "model": "x"}'), False),
    ("model: {exact: gpt-4o}", request(body='{"metadata": {"model": "gpt-4o"}}'), False),
    ("model: {exact: gpt-4o}", request("model: gpt-4o"), False),
    # attributes: what the application says, never a header of the same name
    ("attributes: {plan: {exact: pro}}", plan(plan="pro"), True),
    ("attributes: {plan: {exact: pro}}", plan(plan="Pro"), False),
    ("attributes: {plan: {exact: pro}}", plan(tenant="pro"), False),
    ("attributes: {plan: {exact: pro}}", request("plan: pro"), False),
    ("attributes: {plan: {exact: pro}}", request("x-plan: pro", "attributes: plan=pro"), False),
    ("attributes: {plan: {prefix: pr}}", plan(plan="pro"), True),
    ("attributes: {Plan: {exact: pro}}", plan(Plan="pro"), True),
    ("attributes: {Plan: {exact: pro}}", plan(plan="pro"), False),
    ("attributes: {plan: {}}", plan(plan=""), True),
    ("attributes: {plan: {}}", plan(), False),
    ("attributes: {consumer: {exact: alice}}", request("consumer: alice"), False),
    ("headers: {plan: {exact: pro}}", plan(plan="pro"), False),
    # together
    (
        "{path: {prefix: /v1/}, method: {exact: POST}, model: {prefix: gpt-},"
        " attributes: {plan: {}}, headers: {region: {exact: eu}}}",
        request(
            "region: eu",
            path="/v1/chat/completions",
            body='{"model": "gpt-4o"}',
            attributes={"plan": "pro"},
        ),
        True,
    ),
    (
        "{path: {prefix: /v1/}, method: {exact: POST}, model: {prefix: gpt-},"
        " attributes: {plan: {}}, headers: {region: {exact: eu}}}",
        request("region: eu", path="/v1/chat/completions", body='{"model": "gpt-4o"}'),
        False,
    ),
    ("{}", request(), True),
]  # fmt: skip


def _label(value: object) -> str | None:
    if not isinstance(value, ClientRequest):
        return None
    fields = [f"{name.decode()}:{text.decode('latin-1')}" for name, text in value.headers]
    text = " ".join([value.method, value.path, *fields, repr(value.body), str(value.attributes)])
    return text[:120]


@rows(("match", "asked", "is_taken"), MATCHES, ids=_label)
def test_a_match_takes_the_requests_it_describes(
    match: str, asked: ClientRequest, is_taken: bool
) -> None:
    routes = table(provider(), route(f"- matches:\n  - {match}\n  {BACKEND}"))
    if is_taken:
        assert select(routes, asked).rule == "rules[0]"
    else:
        with pytest.raises(NoRouteMatched):
            select(routes, asked)


# A workload, what the match says, whether a request of that workload is taken.
WORKLOADS = [
    ({}, "sourceLabels: {}", True),
    ({}, "sourceLabels: {app: web}", False),
    ({"app": "web"}, "sourceLabels: {app: web}", True),
    ({"app": "web", "version": "v1"}, "sourceLabels: {app: web}", True),
    ({"app": "web"}, "sourceLabels: {app: Web}", False),
    ({"app": "web"}, "sourceLabels: {app: web, version: v1}", False),
    ({"app": "web", "version": "v2"}, "sourceLabels: {app: web, version: v1}", False),
]


@rows(("labels", "match", "is_taken"), WORKLOADS)
def test_source_labels_are_those_of_this_workload(
    labels: dict[str, str], match: str, is_taken: bool
) -> None:
    rules = f"- {{name: wanted, matches: [{{{match}}}], {BACKEND}}}\n- {{name: rest, {BACKEND}}}"
    routes = table(provider(), route(rules), labels=labels)
    asked = request("app: web", "version: v1", attributes={"app": "web", "version": "v1"})
    assert select(routes, asked).rule == ("wanted" if is_taken else "rest")


# This workload's gateways, those of the route, those of the match, the rule that is taken. The
# match's own stand in for the route's; None is a route that does not concern the workload.
GATEWAYS = [
    (["mesh"], None, None, "wanted"),
    (["mesh"], None, ["mesh"], "wanted"),
    (["mesh"], None, ["edge"], "rest"),
    (["mesh"], ["edge"], None, None),
    (["mesh"], ["mesh", "edge"], None, "wanted"),
    (["mesh"], ["mesh", "edge"], ["edge"], "rest"),
    (["mesh"], ["edge"], ["mesh"], "wanted"),
    (["edge"], None, None, None),
    (["edge"], ["edge"], None, "wanted"),
    (["edge"], ["default/edge"], None, None),
    (["default/edge"], ["default/edge"], None, "wanted"),
    (["default/edge"], ["edge"], None, "wanted"),
    (["other/edge"], ["edge"], None, None),
    (["mesh", "edge"], ["edge"], None, "wanted"),
    (["mesh", "edge"], None, ["edge"], "wanted"),
]


@rows(("own", "of_route", "of_match", "rule"), GATEWAYS)
def test_gateways_are_those_of_this_workload(
    own: list[str], of_route: list[str] | None, of_match: list[str] | None, rule: str | None
) -> None:
    match = "{}" if of_match is None else f"{{gateways: {of_match}}}"
    rules = f"- {{name: wanted, matches: [{match}], {BACKEND}}}\n- {{name: rest, {BACKEND}}}"
    spec = "" if of_route is None else f"gateways: {of_route}"
    routes = table(provider(), route(rules, spec=spec), gateways=own)
    if rule is None:
        assert routes.find(b"chat") is None
    else:
        assert select(routes, request()).rule == rule


def test_labels_and_headers_of_one_match_must_both_fit() -> None:
    match = "{sourceLabels: {app: web}, headers: {region: {exact: eu}}}"
    documents = (provider(), route(f"- matches: [{match}]\n  {BACKEND}"))
    ours, others = table(*documents, labels={"app": "web"}), table(*documents)
    assert select(ours, request("region: eu")).rule == "rules[0]"
    for routes, asked in ((ours, request("region: us")), (others, request("region: eu"))):
        with pytest.raises(NoRouteMatched):
            select(routes, asked)


RULES = f"""
- name: eu-or-pro
  matches:
  - headers: {{region: {{exact: eu}}}}
  - attributes: {{plan: {{exact: pro}}}}
  {BACKEND}
- name: eu-too
  matches: [{{headers: {{region: {{prefix: e}}}}}}]
  {BACKEND}
- matches: [{{headers: {{region: {{exact: us}}}}}}]
  {BACKEND}
- name: rest
  backendRefs: [{{providerHost: {GLOBEX}}}]
- name: never
  matches: [{{headers: {{region: {{exact: cn}}}}}}]
  {BACKEND}
"""

WINNERS = [
    (request("region: eu"), "eu-or-pro", ACME),
    (plan(plan="pro"), "eu-or-pro", ACME),
    (request("region: us", attributes={"plan": "pro"}), "eu-or-pro", ACME),
    (request("region: east"), "eu-too", ACME),
    (request("region: us"), "rules[2]", ACME),
    (request("region: cn"), "rest", GLOBEX),
    (request("region: us", "region: eu"), "rest", GLOBEX),
    (request(), "rest", GLOBEX),
]


@rows(("asked", "rule", "host"), WINNERS, ids=_label)
def test_the_first_rule_that_holds_wins(asked: ClientRequest, rule: str, host: str) -> None:
    selection = select(table(provider(), provider(GLOBEX), route(RULES)), asked)
    assert (selection.route, selection.rule, selection.upstream.host) == ("route", rule, host)


def test_no_rule_that_holds_is_an_error_that_names_the_route_and_no_header() -> None:
    routes = table(provider(), route(f"- matches: [{{{EXACT}}}]\n  {BACKEND}", name="tiers"))
    with pytest.raises(NoRouteMatched, match="'tiers'") as caught:
        select(routes, request("user-type: secret-guest"))
    assert (caught.value.status, caught.value.code) == (404, "route_not_found")
    assert "secret-guest" not in str(caught.value)


def test_a_header_that_is_not_written_in_lower_case_is_refused_with_the_advice_to_do_so() -> None:
    rules = f"- matches: [{{headers: {{User-Type: {{}}}}}}]\n  {BACKEND}"
    (problem,) = compiled(provider(), route(rules)).problems
    assert "lower case" in problem.message
