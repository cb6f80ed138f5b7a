"""What `validate` warns of although it can be used: rules in vain, requests left over."""

from __future__ import annotations

from llm_mesh_middleware._compile import advise
from llm_mesh_middleware._manifest import parse_manifest
from tests.core.tables import ACME, provider, route
from tests.rows import rows

BACKEND = f"backendRefs: [{{providerHost: {ACME}}}]"
NEVER, LEFT_OVER = "is never reached", "no rule matches everything"


def advice(rules: str, spec: str = "") -> list[tuple[str, str]]:
    """(field, message) of each warning about a route."""
    text = "---\n".join((provider(), route(rules, spec=spec)))
    manifest = parse_manifest(text, source="mesh.yaml", environ={})
    assert manifest.problems == ()
    found = advise(manifest)
    assert {problem.severity for problem in found} <= {"warning"}
    assert all(problem.line for problem in found)
    return [(problem.field, problem.message) for problem in found]


def rule(*matches: str, name: str = "") -> str:
    """A rule in flow style."""
    named = f"name: {name}, " if name else ""
    return f"- {{{named}matches: [{', '.join(matches)}], {BACKEND}}}"


def lines(*rules: str) -> str:
    return "\n".join(rules)


ALL = f"- {{{BACKEND}}}"
EXACT = "{headers: {a: {exact: blue}}}"
PREFIX = "{headers: {a: {prefix: bl}}}"
REGEX = "{headers: {a: {regex: 'b[a-z]+'}}}"
PRESENT = "{headers: {a: {}}}"


@rows(
    ("general", "special"),
    [
        ("{}", EXACT),
        ("{}", "{}"),
        (PRESENT, EXACT),
        (PRESENT, PREFIX),
        (PRESENT, REGEX),
        (PRESENT, PRESENT),
        (PREFIX, EXACT),
        (PREFIX, "{headers: {a: {prefix: blu}}}"),
        (REGEX, EXACT),
        (REGEX, REGEX),
        (EXACT, EXACT),
        (EXACT, "{headers: {a: {exact: blue}, b: {}}}"),
        ("{sourceLabels: {app: web}}", "{sourceLabels: {app: web, v: '1'}}"),
        ("{gateways: [mesh, g]}", "{gateways: [g]}"),
        ("{model: {prefix: qwen}}", "{model: {exact: qwen-max}, path: {}}"),
        ("{attributes: {plan: {}}}", "{attributes: {plan: {exact: free}}}"),
    ],
)
def test_a_rule_below_a_more_general_one_is_never_reached(general: str, special: str) -> None:
    ((field, message), *_) = advice(lines(rule(general, name="first"), rule(special)))
    assert field == "spec.rules[1]"
    assert message.startswith(NEVER)
    assert "matched by first before it" in message


@rows(
    ("first", "second"),
    [
        (EXACT, "{}"),
        (EXACT, "{headers: {a: {exact: green}}}"),
        (EXACT, PREFIX),
        (EXACT, PRESENT),
        (PREFIX, "{headers: {a: {prefix: b}}}"),
        (PREFIX, REGEX),
        (REGEX, "{headers: {a: {exact: BLUE}}}"),
        (REGEX, "{headers: {a: {regex: 'b[a-y]+'}}}"),
        (PRESENT, "{headers: {b: {}}}"),
        (PRESENT, "{attributes: {a: {exact: blue}}}"),
        ("{sourceLabels: {app: web}}", "{sourceLabels: {app: api}}"),
        ("{sourceLabels: {app: web}}", "{}"),
        ("{gateways: [g]}", "{gateways: [g, mesh]}"),
        ("{gateways: [g]}", "{}"),
    ],
)
def test_a_rule_that_gets_something_is_left_alone(first: str, second: str) -> None:
    fields = [field for field, _ in advice(lines(rule(first), rule(second)))]
    assert "spec.rules[1]" not in fields


def test_a_rule_is_in_vain_only_if_all_its_matches_are() -> None:
    taken = rule(PREFIX, "{headers: {b: {}}}", name="both")
    assert advice(lines(taken, rule(EXACT, "{headers: {c: {}}}"), ALL)) == []
    ((field, message),) = advice(lines(taken, rule(EXACT, "{headers: {b: {exact: x}}}"), ALL))
    assert (field, message.startswith(NEVER)) == ("spec.rules[1]", True)


def test_several_rules_together_may_take_it_all() -> None:
    text = lines(rule(PRESENT, name="a"), rule("{headers: {b: {}}}"))
    ((_, message),) = advice(lines(text, rule(EXACT, "{headers: {b: {exact: x}}}"), ALL))
    assert "matched by a, rules[1] before it" in message


def test_everything_below_a_rule_for_all_is_in_vain() -> None:
    found = advice(lines(ALL, rule(EXACT), ALL))
    assert [(field, message.startswith(NEVER)) for field, message in found] == [
        ("spec.rules[1]", True),
        ("spec.rules[2]", True),
    ]


@rows("matches", [EXACT, "{path: {prefix: /v1}}", "{sourceLabels: {app: web}}", "{gateways: [g]}"])
def test_a_route_that_leaves_requests_over_is_told(matches: str) -> None:
    ((field, message),) = advice(rule(matches))
    assert field == "spec.rules"
    assert message.startswith(LEFT_OVER)
    assert "404 route_not_found" in message


@rows("text", [ALL, rule("{}"), rule(EXACT, "{}"), lines(rule(EXACT), ALL)])
def test_a_route_for_everything_is_fine(text: str) -> None:
    assert advice(text) == []


def test_a_match_for_the_routes_own_gateways_takes_everything() -> None:
    assert advice(rule("{gateways: [g, mesh]}"), spec="gateways: [g]") == []
    assert advice(ALL, spec="gateways: [g]") == []
    ((_, message),) = advice(rule("{gateways: [g]}"), spec="gateways: [g, h]")
    assert message.startswith(LEFT_OVER)


def test_a_wrong_pattern_brings_no_advice() -> None:
    assert advice(lines(ALL, rule("{headers: {a: {regex: '(b'}}}"))) == []


@rows(
    ("host", "is_told"),
    [
        ("localhost", True),
        ("model.localhost", True),
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("0.0.0.0", True),
        ("host.docker.internal", True),
        ("10.0.0.5", False),
        ("localhost.example", False),
    ],
)
def test_a_provider_whose_host_is_a_name_of_this_machine(host: str, *, is_told: bool) -> None:
    text = provider(spec="  endpoint: http://127.0.0.1:8000\n").replace(ACME, host)
    found = advise(parse_manifest(text, source="mesh.yaml", environ={}))
    told = [problem for problem in found if problem.field == "spec.host"]
    assert [problem.severity for problem in told] == ["warning"] * is_told
