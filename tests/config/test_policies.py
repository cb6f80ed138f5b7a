"""`LLMPolicy` documents: what is refused, where, and with which advice."""

from __future__ import annotations

from textwrap import indent

import pytest

from llm_mesh_middleware import LLMPolicy
from llm_mesh_middleware._compile import Compiled, Workload, advise, compile_manifest
from llm_mesh_middleware._core.routing.timeouts import Timeouts
from tests.config.documents import only_problem, parse
from tests.core.tables import compiled, provider, route
from tests.rows import rows

HEAD = """\
apiVersion: llm-mesh.dev/v1alpha1
kind: LLMPolicy
metadata: {name: team}
spec:
"""


def policy(spec: str) -> str:
    """A policy whose spec begins in line 5, column 3."""
    return HEAD + indent(spec, "  ") + "\n"


def limit(text: str) -> str:
    """A policy of one limit, whose fields stand in line 6 from column 6 on, in flow style."""
    return policy(f"limits:\n- {{name: one, {text}}}")


@rows(
    "fields",
    [
        "tokens: 100k",
        "tokens: 1M, per: 1h, burst: 10k, reserve: max, count: uncached",
        "requests: 60, concurrency: 8, by: [consumer, model, 'attribute:team']",
        "concurrency: 1, when: [{model: {prefix: big}}], onMissing: deny, shadow: true",
        "requests: 1, by: ['header:x-team'], trustHeaders: true, onStoreFailure: allow",
        "tokens: 5, tokensFrom: 'attribute:tpm', weights: {input: 1, cacheRead: 0.1, output: 6}",
        "tokens: 5, overrides: [{match: {attributes: {plan: {exact: pro}}}, tokens: 1G}]",
    ],
)
def test_a_limit_that_is_right(fields: str) -> None:
    assert parse(limit(fields)).problems == ()


@rows(
    ("fields", "field", "message"),
    [
        ("tokens: 0", "tokens", "must be from 1 to 1000G"),
        ("tokens: -5", "tokens", "must be from 1 to 1000G"),
        ("tokens: 1.5", "tokens", "must be a whole number"),
        ("tokens: 10kk", "tokens", "must be a whole number, optionally followed by k, M or G"),
        ("concurrency: 0", "concurrency", "must be at least 1"),
        ("token: 5", "token", "unknown field; did you mean `tokens`?"),
        ("per: 1m", None, "must have at least one of tokens, requests and concurrency"),
        ("concurrency: 1, per: 1m", "per", "needs tokens or requests"),
        ("tokens: 1, requests: 1, burst: 1", "burst", "write two limits"),
        ("requests: 1, reserve: max", "reserve", "needs tokens"),
        ("tokens: 1, by: [team]", "by[0]", "must be consumer, model, provider, host"),
        ("tokens: 1, by: ['header:x-team']", "by[0]", "trustHeaders: true"),
        ("tokens: 1, by: ['header:X-Team']", "by[0]", "lower case"),
        ("tokens: 1, tokensFrom: 'header:tpm'", "tokensFrom", "must be attribute:NAME"),
        ("tokens: 1, count: input, weights: {output: 1}", "weights", "set with count"),
        ("tokens: 1, weights: {input: -1}", "weights.input", "must be at least 0"),
        ("tokens: 1, onStoreFailure: open", "onStoreFailure", "must be one of"),
        ("tokens: 1, overrides: [{match: {}, requests: 5}]", "overrides[0].requests", "no request"),
    ],
)
def test_a_limit_that_is_wrong(fields: str, field: str | None, message: str) -> None:
    problem = only_problem(parse(limit(fields)))
    assert problem.field == "spec.limits[0]" + (f".{field}" if field else "")
    assert message in problem.message
    assert problem.line == 6


def test_a_condition_without_a_value_does_not_disappear() -> None:
    problem = only_problem(parse(limit("tokens: 1, when: [{model: }]")))
    assert problem.field == "spec.limits[0].when[0].model"


@rows(
    ("text", "message"),
    [
        (HEAD.replace("v1alpha1", "v1"), "must be llm-mesh.dev/v1alpha1, got"),
        (HEAD.replace("LLMPolicy", "LLMPolcy"), "did you mean `LLMPolicy`?"),
        (policy("limits: []"), "must have limits"),
        (policy("limits: [{name: a, tokens: 1}, {name: a, tokens: 2}]"), "limits[0] too"),
        (
            policy("limits: [{name: a, tokens: 1}]\ntargetRefs: [{kind: Service, name: a}]"),
            "must be one of 'LLMRoute' or 'LLMProvider', got 'Service'",
        ),
    ],
)
def test_a_document_that_is_wrong(text: str, message: str) -> None:
    assert message in only_problem(parse(text)).message


def with_targets(targets: str) -> Compiled:
    rules = "- {name: main, backendRefs: [{providerHost: acme.example}]}"
    text = policy(f"targetRefs:\n- {targets}\nlimits:\n- {{name: one, requests: 1}}")
    return compiled(provider(), route(rules, name="chat"), text)


@rows(
    "target",
    [
        "{kind: LLMRoute, name: chat}",
        "{kind: LLMRoute, name: chat, sectionName: main, namespace: default}",
        "{kind: LLMProvider, name: acme}",
    ],
)
def test_targets_that_exist(target: str) -> None:
    assert with_targets(target).problems == ()


@rows(
    ("target", "field", "message"),
    [
        ("{kind: LLMRoute, name: chta}", "name", "did you mean `chat`?"),
        ("{kind: LLMRoute, name: acme}", "name", "no LLMRoute 'acme' in namespace 'default'"),
        ("{kind: LLMProvider, name: acme, namespace: b}", "name", "in namespace 'b'; there is"),
        ("{kind: LLMRoute, name: chat, sectionName: mian}", "sectionName", "mean `main`?"),
    ],
)
def test_targets_that_do_not_exist(target: str, field: str, message: str) -> None:
    result = with_targets(target)
    (problem,) = result.problems
    assert problem.field == f"spec.targetRefs[0].{field}"
    assert message in problem.message
    assert problem.line > 20
    assert result.table is None


@rows(
    ("target", "rules", "backends"),
    [
        ("{kind: LLMRoute, name: chat}", {"one": 1, "two": 1}, 0),
        ("{kind: LLMRoute, name: chat, sectionName: two}", {"one": 0, "two": 1}, 0),
        ("{kind: LLMProvider, name: acme}", {"one": 0, "two": 0}, 1),
    ],
)
def test_a_policy_holds_for_its_targets(target: str, rules: dict[str, int], backends: int) -> None:
    text = policy(f"targetRefs: [{target}]\nlimits: [{{name: a, requests: 1}}]")
    both = "\n".join(
        f"- {{name: {name}, matches: {match}, backendRefs: [{{providerHost: acme.example}}]}}"
        for name, match in (("one", "[{model: {exact: a}}]"), ("two", "[]"))
    )
    table = compiled(provider(), route(both, name="chat"), text).table
    assert table is not None
    (host,) = (host for host in table.hosts if host.name == "chat")
    limits = {rule.name: sum(len(policy.items) for policy in rule.policies) for rule in host.rules}
    assert limits == rules
    for rule in host.rules:
        (backend,) = rule.backends
        assert (0 if backend.policy is None else len(backend.policy.items)) == backends


def test_without_targets_a_policy_holds_in_its_namespace_alone() -> None:
    rules = "- {name: main, backendRefs: [{providerHost: acme.example}]}"
    text = limit("requests: 1").replace("name: team", "name: team, namespace: b")
    documents = [
        provider(),
        route(rules, name="a"),
        route(rules, host="other", name="b", namespace="b"),
        text,
    ]
    table = compiled(*documents).table
    assert table is not None
    counts = {host.name: len(host.rules[0].policies) for host in table.hosts}
    assert counts == {"chat": 0, "other": 1, "acme.example": 0}


def test_without_policies_nothing_is_in_the_way() -> None:
    table = compiled(provider()).table
    assert table is not None
    (host,) = table.hosts
    assert host.rules[0].policies == ()
    assert [backend.policy for backend in host.rules[0].backends] == [None]


def test_a_faulty_target_is_blamed_itself() -> None:
    broken = route("- {name: main, backendRef: []}", name="chat")
    text = policy("targetRefs: [{kind: LLMRoute, name: chat}]\nlimits: [{name: a, requests: 1}]")
    problems = compiled(provider(), broken, text).problems
    assert {problem.field.split(".")[1] for problem in problems} == {"rules[0]"}


@pytest.mark.parametrize("cache", ["cache: {}", "cache: {ttl: 1m}"])
def test_a_cache_of_a_mesh_that_is_open_to_everyone_needs_a_scope(cache: str) -> None:
    manifest = parse("---\n".join((provider(), policy(cache))))

    (problem,) = compile_manifest(
        manifest, Workload({}, is_open=True), endpoints={}, timeouts=Timeouts(), environ={}
    ).problems
    assert (problem.severity, problem.field) == ("error", "spec.cache")
    assert "needs `vary`" in problem.message

    stated = parse("---\n".join((provider(), policy("cache: {vary: []}"))))
    for known, is_open in ((manifest, False), (stated, True)):
        workload = Workload({}, is_open=is_open)
        told = compile_manifest(
            known, workload, endpoints={}, timeouts=Timeouts(), environ={}
        ).problems
        assert told == ()


def test_a_cache_that_everybody_shares_is_told() -> None:
    (problem,) = advise(parse(policy("cache: {vary: []}")))
    assert (problem.severity, problem.field) == ("warning", "spec.cache.vary")
    assert advise(parse(policy("cache: {vary: [model]}"))) == ()


@rows(("text", "seconds"), [("1d", 86400.0), ("90m", 5400.0), ("5", 5.0)])
def test_a_response_may_be_kept_for_days(text: str, seconds: float) -> None:
    (resource,) = parse(policy(f"cache: {{ttl: {text}}}")).resources
    assert isinstance(resource.model, LLMPolicy)
    assert resource.model.spec.cache is not None
    assert resource.model.spec.cache.ttl == seconds


@rows("text", ["0d", "1.5d", "1d12h", "d"])
def test_other_days_are_refused(text: str) -> None:
    assert only_problem(parse(policy(f"cache: {{ttl: {text}}}"))).field == "spec.cache.ttl"


SERVICE = "service: {url: 'http://ratelimit.default.svc'}, onStoreFailure: allow"


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        (f"{SERVICE}, by: [model], tokens: 5", "tokens", "must not be set with service"),
        (SERVICE, "by", "is needed with service"),
        (f"{SERVICE}, by: [provider]", "by", "before one is chosen"),
        ("service: {url: 'http://a'}, by: [model]", "onStoreFailure", "must be allow or deny"),
        ("service: {url: 'ftp://a'}, by: [model]", "service.url", "http"),
        ("service: {timeout: 1s}, by: [model]", "service.url", "is missing"),
        (f"{SERVICE}, by: ['header:user-type']", "by[0]", "trustHeaders"),
    ],
)
def test_a_limit_that_a_service_counts_has_no_numbers(text: str, field: str, message: str) -> None:
    problem = only_problem(parse(limit(text)))
    assert problem.field == f"spec.limits[0].{field}"
    assert message in problem.message


def test_a_limit_that_a_service_counts_is_for_routes() -> None:
    spec = "targetRefs: [{kind: LLMProvider, name: acme}]\nlimits:\n- {name: one, by: [model], "
    (problem,) = compiled(provider(), policy(f"{spec}{SERVICE}}}")).problems
    assert problem.field == "spec.limits[0].service"
    assert "LLMRoutes only" in problem.message


def test_a_service_that_keeps_responses_finds_them_by_itself() -> None:
    semantic = "semantic: {embedding: {providerHost: a.example, model: m}}"
    text = f"cache: {{vary: [], service: {{url: 'http://cache'}}, {semantic}}}"
    problem = only_problem(parse(policy(text)))
    assert problem.field == "spec.cache.semantic"
    assert "must not be set with service" in problem.message
