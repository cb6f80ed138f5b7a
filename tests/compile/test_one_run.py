"""One fault does not hide another: everything is reported by the first run."""

from __future__ import annotations

from tests.core.tables import ACME, compiled, provider, route
from tests.rows import rows

RULES = f"""
- name: first
  matches:
  - headers: {{tier: {{regex: '(a'}}}}
  - path: {{regex: '(?=x)'}}
  backendRefs: [{{providerHost: nowhere.example}}]
- name: second
  backendRefs: [{{providerHost: {ACME}}}, {{providerHost: '${{HOST}}', weight: 1}}]
"""
REFERENCES = {
    "spec.rules[0].matches[0].headers.tier.regex",
    "spec.rules[0].matches[1].path.regex",
    "spec.rules[0].backendRefs[0].providerHost",
}
FAULTS = {
    "an unknown field": ("name: first", "nmae: first", "spec.rules[0].nmae"),
    "a wrong type": ("weight: 1", "weight: heavy", "spec.rules[1].backendRefs[1].weight"),
    "a wrong value": ("weight: 1", "weight: -1", "spec.rules[1].backendRefs[1].weight"),
    "a missing variable": ("HOST", "NOT_SET", "spec.rules[1].backendRefs[1].providerHost"),
    "a key twice": ("name: second", "name: a\n  name: b", "spec.rules[1].name"),
    "a tag": ("name: second", "name: !x second", "spec.rules[1].name"),
    "a pattern of a wrong type": ("'(a'", "[a]", "spec.rules[0].matches[0].headers.tier.regex"),
}


@rows("name", FAULTS)
def test_a_schema_error_hides_no_pattern_and_no_provider(name: str) -> None:
    old, new, field = FAULTS[name]
    result = compiled(provider(), route(RULES.replace(old, new, 1)), environ={"HOST": ACME})
    assert result.table is None
    assert {problem.field for problem in result.problems} == REFERENCES | {field}


def test_what_is_found_in_a_faulty_route_has_its_place() -> None:
    documents = (provider(), route(RULES.replace("name: first", "nmae: first")))
    problems = {problem.field: problem for problem in compiled(*documents).problems}
    lines = "---\n".join(documents).splitlines()
    found = problems["spec.rules[0].backendRefs[0].providerHost"]
    assert lines[found.line - 1][found.column - 1 :].startswith("nowhere.example")
    assert found.message == f"no LLMProvider has the host 'nowhere.example'; known hosts: {ACME}"


def test_a_faulty_provider_does_not_hide_the_faults_of_a_route() -> None:
    broken = provider(spec="paht: /v1")
    fields = {problem.field for problem in compiled(broken, route(RULES)).problems}
    assert {"spec.paht", "spec.rules[0].matches[0].headers.tier.regex"} <= fields
    assert "spec.rules[1].backendRefs[0].providerHost" not in fields  # its provider is broken


def test_rules_of_a_faulty_route_are_known_to_the_configurations_for_them() -> None:
    document = provider(specific="{first: {openAIConfig: {model: m}}}")
    result = compiled(document, route(RULES.replace("weight: 1", "weight: -1")))
    assert [each for each in result.problems if each.severity == "warning"] == []
