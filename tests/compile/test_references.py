"""References between documents: what is refused, where, and in which words."""

from __future__ import annotations

from llm_mesh_middleware.exceptions import Problem
from tests.core.tables import ACME, GLOBEX, compiled, provider, route, table
from tests.rows import rows

RULES = f"- backendRefs: [{{providerHost: {ACME}}}]"


def only_problem(*documents: str, **workload: object) -> Problem:
    """The one problem of documents that make no table."""
    result = compiled(*documents, **workload)  # type: ignore[arg-type]
    assert result.table is None
    (problem,) = result.problems
    assert problem.severity == "error"
    return problem


def written_at(problem: Problem, *documents: str) -> str:
    """What stands at the problem's place."""
    lines = "---\n".join(documents).splitlines()
    return lines[problem.line - 1][problem.column - 1 :]


@rows("spelling", [ACME, "ACME.example", "acme.example."])
def test_two_providers_with_one_host_are_refused(spelling: str) -> None:
    documents = (provider(name="first"), provider(spelling, name="second"))
    problem = only_problem(*documents)
    assert problem.source == "mesh.yaml"
    assert problem.field == "spec.host"
    assert written_at(problem, *documents) == repr(spelling)
    assert problem.line > documents[0].count("\n")
    assert problem.message == (
        "host 'acme.example' is also that of LLMProvider 'first'; "
        "a host must be unique among providers"
    )


@rows("namespace", ["default", "other"])
@rows(
    ("first", "second"),
    [("chat", "chat"), ("chat", "Chat."), ("*", "*"), ("*.llm.example", "*.LLM.example")],
)
def test_two_routes_with_one_host_are_refused(first: str, second: str, namespace: str) -> None:
    documents = (
        provider(),
        route(RULES, first, name="first"),
        route(RULES, second, name="second", namespace=namespace),
    )
    problem = only_problem(*documents)
    assert problem.field == "spec.host"
    assert written_at(problem, *documents) == repr(second)
    assert "already that of LLMRoute 'first'" in problem.message
    assert "put the rules into one route" in problem.message


def test_a_route_may_have_the_host_of_a_provider() -> None:
    (host,) = table(provider(), route(RULES, ACME, name="tiers")).hosts
    assert (host.name, host.route) == (ACME, "tiers")


def test_an_unknown_provider_is_refused_with_the_known_ones() -> None:
    rules = f"""
    - backendRefs: [{{providerHost: {ACME}}}]
    - backendRefs:
      - {{providerHost: {GLOBEX}}}
      - {{providerHost: nowhere.example}}
    """
    documents = (provider(GLOBEX), provider(), route(rules))
    problem = only_problem(*documents)
    assert problem.field == "spec.rules[1].backendRefs[1].providerHost"
    assert written_at(problem, *documents) == "nowhere.example}"
    assert problem.message == (
        "no LLMProvider has the host 'nowhere.example'; known hosts: acme.example, globex.example"
    )


def test_a_route_without_any_provider_is_told_that_there_is_none() -> None:
    assert "known hosts: none" in only_problem(route(RULES)).message


def test_an_unknown_provider_of_a_later_priority_is_refused_too() -> None:
    rules = f"""
    - backendRefs:
      - {{providerHost: {ACME}}}
      - {{providerHost: nowhere.example, priority: 1}}
    """
    problem = only_problem(provider(), route(rules))
    assert problem.field == "spec.rules[0].backendRefs[1].providerHost"


@rows("written", [ACME, "ACME.Example", "acme.example."])
def test_a_reference_may_be_spelled_as_hosts_may(written: str) -> None:
    rules = f"- backendRefs: [{{providerHost: {written}}}]"
    assert table(provider(), route(rules)).find(b"chat") is not None


def test_a_broken_provider_causes_no_second_complaint() -> None:
    problem = only_problem(provider(openai="{modle: m}"), route(RULES))
    assert problem.field == "spec.configs.defaultConfig.openAIConfig.modle"


def test_a_provider_whose_key_is_missing_causes_no_second_complaint() -> None:
    problem = only_problem(provider(openai="{apiKey: '${NO_SUCH_KEY}'}"), route(RULES))
    assert "NO_SUCH_KEY" in problem.message


# The match, the field of the problem, what stands there, a part of the message.
PATTERNS = [
    ("headers: {user-type: {regex: '['}}", "headers.user-type.regex", "'['", "unterminated"),
    ("headers: {user-type: {regex: '(a'}}", "headers.user-type.regex", "'(a'", "missing )"),
    (r"headers: {x: {regex: '(a)\1'}}", "headers.x.regex", r"'(a)\1'", "linear time"),
    ("headers: {x: {regex: 'a(?=b)'}}", "headers.x.regex", "'a(?=b)'", "linear time"),
    ("headers: {x: {regex: '(?<!a)b'}}", "headers.x.regex", "'(?<!a)b'", "linear time"),
    ("path: {regex: '*'}", "path.regex", "'*'", "nothing to repeat"),
    ("method: {regex: '+'}", "method.regex", "'+'", "nothing to repeat"),
    ("model: {regex: 'a{9999}'}", "model.regex", "'a{9999}'", "9999 times is too much"),
    ("attributes: {plan: {regex: ')'}}", "attributes.plan.regex", "')'", "unbalanced"),
]


@rows(("match", "field", "text", "words"), PATTERNS)
def test_a_pattern_that_cannot_be_used_is_refused_where_it_stands(
    match: str, field: str, text: str, words: str
) -> None:
    rules = f"- {RULES[2:]}\n- matches:\n  - {{}}\n  - {match}\n  {RULES[2:]}"
    documents = (provider(), route(rules))
    problem = only_problem(*documents)
    assert problem.field == f"spec.rules[1].matches[1].{field}"
    assert written_at(problem, *documents).startswith(text)
    assert words in problem.message


def test_everything_wrong_is_told_at_once() -> None:
    rules = """
    - matches: [{path: {regex: '['}}]
      backendRefs: [{providerHost: nowhere.example}]
    - matches: [{model: {regex: '('}}]
      backendRefs: [{providerHost: elsewhere.example}]
    """
    result = compiled(
        provider(name="first"),
        provider(name="second", openai="{apiKeyFrom: {env: NO_SUCH_KEY}}"),
        route(rules),
        route(RULES, name="again"),
    )
    assert result.table is None
    assert sorted(problem.field for problem in result.problems) == [
        "spec.configs.defaultConfig.openAIConfig.apiKeyFrom.env",
        "spec.host",
        "spec.host",
        "spec.rules[0].backendRefs[0].providerHost",
        "spec.rules[0].matches[0].path.regex",
        "spec.rules[1].backendRefs[0].providerHost",
        "spec.rules[1].matches[0].model.regex",
    ]


def test_problems_of_reading_come_first_and_keep_their_places() -> None:
    result = compiled(provider(), route("- {}"), route(RULES, name="again"))
    assert result.table is None
    assert result.problems[0].field == "spec.rules[0].backendRefs"


@rows(
    ("rules", "is_warned"),
    [
        (f"- {{name: vip, {RULES[2:]}}}", False),
        (f"- {{name: other, {RULES[2:]}}}\n- {{name: vip, {RULES[2:]}}}", False),
        (f"- {{name: VIP, {RULES[2:]}}}", True),
        (RULES, True),
    ],
)
def test_a_configuration_for_a_rule_that_does_not_exist_is_a_warning(
    rules: str, is_warned: bool
) -> None:
    documents = (provider(specific="{vip: {openAIConfig: {model: m}}}"), route(rules))
    result = compiled(*documents)
    assert result.table is not None
    if not is_warned:
        assert result.problems == ()
        return
    (problem,) = result.problems
    assert problem.severity == "warning"
    assert problem.field == "spec.configs.routeSpecificConfigs.vip"
    assert written_at(problem, *documents).startswith("{openAIConfig")
    assert problem.message == "no rule of any LLMRoute is named 'vip', so this is never used"


def test_a_rule_of_a_route_for_other_gateways_is_known_all_the_same() -> None:
    documents = (
        provider(specific="{vip: {openAIConfig: {model: m}}}"),
        route(f"- {{name: vip, {RULES[2:]}}}", spec="gateways: [edge]"),
    )
    assert compiled(*documents).problems == ()


def test_a_mapping_that_can_have_no_effect_is_a_warning() -> None:
    result = compiled(provider(openai="{model: m, modelMapping: {a: b}}"))
    assert result.table is not None
    (problem,) = result.problems
    assert problem.severity == "warning"
    assert problem.field == "spec.configs.defaultConfig.openAIConfig.modelMapping"
