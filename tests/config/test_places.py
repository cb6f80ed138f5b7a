"""Mistakes in manifests: each is refused at its line, column and field."""

from __future__ import annotations

from tests.config.documents import PROVIDER_HEAD, config, match, parse, provider, route, rules
from tests.rows import rows

OPENAI = "spec.configs.defaultConfig.openAIConfig"
RULE = "spec.rules[0]"
MATCH = "spec.rules[0].matches[0]"

# text, line, column, field, a part of the message
MISTAKES = [
    # the document
    ("a: 1\n a: 2", 2, 3, "", "is not YAML"),
    ("- a", 1, 1, "", "got a list"),
    ("just text", 1, 1, "", "got a string"),
    ("a: 1", 1, 1, "kind", "is missing"),
    ("kind: [LLMRoute]", 1, 7, "kind", "not a string"),
    (PROVIDER_HEAD.replace("v1beta1", "v2"), 1, 13, "apiVersion", "v1beta1"),
    (PROVIDER_HEAD.replace("istio.", ""), 1, 13, "apiVersion", "v1beta1"),
    ("kind: LLMRoute", 1, 1, "apiVersion", "must be"),
    (
        PROVIDER_HEAD.replace("LLMProvider", "LlmProvidr"),
        2,
        7,
        "kind",
        "did you mean `LLMProvider`?",
    ),
    (PROVIDER_HEAD, 5, 6, "spec", "must be a mapping, got nothing"),
    (PROVIDER_HEAD.replace("  name: acme", "  {}") + "  host: a", 4, 3, "metadata.name", "missing"),
    # YAML beyond its syntax
    (provider("host: a\nhost: b"), 7, 3, "spec.host", "line 6 and again in line 7"),
    (provider("host: !!str a"), 6, 9, "spec.host", "tags"),
    (provider("host: !env a"), 6, 9, "spec.host", "tags"),
    (provider("<<: a"), 6, 7, "spec['<<']", "must be a mapping or a list of mappings"),
    (provider("<<: [{host: a}, b]"), 6, 19, "spec['<<']", "must be a mapping"),
    (provider("'<<': {host: a}"), 6, 3, "spec['<<']", "unknown field"),
    (config("1: a"), 10, 9, OPENAI, "a key must be a string"),
    (config("yes: a"), 10, 9, OPENAI, "a key must be a string"),
    (config("on: a"), 10, 9, f"{OPENAI}.on", "unknown field"),
    (config("? [a]\n: b"), 10, 11, OPENAI, "a key must be a string"),
    (config("model: *nowhere"), 10, 16, f"{OPENAI}.model", "alias"),
    # the provider
    (provider("path: /v1"), 6, 3, "spec.host", "is missing"),
    (provider("host: https://a.example"), 6, 9, "spec.host", "a scheme, got 'https://a.example'"),
    (provider("host: a.example/v1"), 6, 9, "spec.host", "without a path, got 'a.example/v1'"),
    (provider("host: u@a.example"), 6, 9, "spec.host", "without user information"),
    (provider("host: a.example:80"), 6, 9, "spec.host", "without a port, got 'a.example:80'"),
    (provider("host: a example"), 6, 9, "spec.host", "without white space, got 'a example'"),
    (provider("host: '*.a.example'"), 6, 9, "spec.host", "without a wildcard"),
    (provider("host: ''"), 6, 9, "spec.host", "must not be empty"),
    (provider("host: 5"), 6, 9, "spec.host", "must be a string, got 5; put it in quotes"),
    (provider("host: a\npath: v1"), 7, 9, "spec.path", "must begin with one /, got 'v1'"),
    (provider("host: a\npath: //b/v1"), 7, 9, "spec.path", "must begin with one /"),
    (provider("host: a\npath: /v1/../x"), 7, 9, "spec.path", "must not have . or .. as a segment"),
    (provider("host: a\npath: /v1/.%2E"), 7, 9, "spec.path", "must not have . or .."),
    (provider("host: a\npath: /./v1?a=/../"), 7, 9, "spec.path", "must not have . or .."),
    (provider("host: a\npath: /v1#x"), 7, 9, "spec.path", "fragment"),
    (provider('host: a\npath: "/v1\\r\\nX: y"'), 7, 9, "spec.path", "line breaks"),
    (provider('host: a\npath: "/v1\\0"'), 7, 9, "spec.path", "line breaks"),
    (provider("host: a\npath: /v1/通义"), 7, 9, "spec.path", "ASCII"),
    (provider("host: a\nendpoint: ftp://b"), 7, 13, "spec.endpoint", "got 'ftp://b'"),
    (provider("host: a\nendpoint: http://b/v1"), 7, 13, "spec.endpoint", "no path"),
    (provider("host: a\ntls: {clientKeyFile: k}"), 7, 8, "spec.tls", "no clientCertFile"),
    (provider("host: a\nmaxConcurency: 5"), 7, 3, "spec.maxConcurency", "unknown field"),
    (config('model: "a\\nb"'), 10, 16, f"{OPENAI}.model", "CR, LF, NUL"),
    (config('model: "a\\0"'), 10, 16, f"{OPENAI}.model", "CR, LF, NUL"),
    (config("model: 通义"), 10, 16, f"{OPENAI}.model", "latin-1"),
    (config('apiKey: "a\\rb"'), 10, 17, f"{OPENAI}.apiKey", "CR, LF, NUL"),
    (config("apiKey: 通义"), 10, 17, f"{OPENAI}.apiKey", "latin-1"),
    (config("apiKey: ''"), 10, 17, f"{OPENAI}.apiKey", "empty"),
    (config('headers: {x-a: "b\\n"}'), 10, 24, f"{OPENAI}.headers.x-a", "CR, LF, NUL"),
    (config("headers: {x-a: 通义}"), 10, 24, f"{OPENAI}.headers.x-a", "latin-1"),
    (config("headers: {X-A: b}"), 10, 19, f"{OPENAI}.headers.X-A", "in lower case"),
    (config("headers: {'a b': c}"), 10, 19, f"{OPENAI}.headers['a b']", "not a header name"),
    (config("headers: {host: b}"), 10, 19, f"{OPENAI}.headers.host", "itself sets"),
    (config("headers: {connection: b}"), 10, 19, f"{OPENAI}.headers.connection", "itself sets"),
    (config("headers: {authorization: b}"), 10, 19, f"{OPENAI}.headers.authorization", "apiKey"),
    (config("apiKey: a\napiKeyFrom: {env: B}"), 10, 9, OPENAI, "both apiKey and apiKeyFrom"),
    (config("apiKeyFrom: {}"), 10, 21, f"{OPENAI}.apiKeyFrom", "exactly one"),
    (config("apiKeyFrom: {env: A, file: b}"), 10, 21, f"{OPENAI}.apiKeyFrom", "exactly one"),
    (config("apiKeyFrom: {env: A-B}"), 10, 27, f"{OPENAI}.apiKeyFrom.env", "environment variable"),
    (config("stream: 'yes'"), 10, 17, f"{OPENAI}.stream", "true or false, got the string 'yes'"),
    (config("api_key: a"), 10, 9, f"{OPENAI}.api_key", "did you mean `apiKey`?"),
    (config("defaults: {messages: []}"), 10, 20, f"{OPENAI}.defaults.messages", "no default"),
    (config("defaults: {a: [.inf]}"), 10, 23, f"{OPENAI}.defaults.a", "infinite"),
    (config("apiKey: ${MISSING}"), 10, 17, f"{OPENAI}.apiKey", "MISSING is not set"),
    (config("apiKey: ${EMPTY}"), 10, 17, f"{OPENAI}.apiKey", "EMPTY is empty"),
    (config("apiKey: ${NOT-A-NAME}"), 10, 17, f"{OPENAI}.apiKey", "${NAME}"),
    # the route
    (route("host: a"), 6, 3, "spec.rules", "is missing"),
    (route("host: a\nrules: []"), 7, 10, "spec.rules", "at least 1"),
    (route("host: a\nrules: {}"), 7, 10, "spec.rules", "must be a list, got a mapping"),
    (rules("- backendRefs: []"), 8, 18, f"{RULE}.backendRefs", "at least 1"),
    (rules("- name: a"), 8, 5, f"{RULE}.backendRefs", "is missing"),
    (rules("- backendRefs:\n  - weight: 5"), 9, 7, f"{RULE}.backendRefs[0]", "providerHost"),
    (
        rules("- backendRefs:\n  - providerHost: a\n    backendRef: {name: b}"),
        *(9, 7, f"{RULE}.backendRefs[0]", "both providerHost and backendRef"),
    ),
    (
        rules("- backendRefs:\n  - {providerHost: a, weight: -1}"),
        *(9, 33, f"{RULE}.backendRefs[0].weight", "at least 0, got -1"),
    ),
    (
        rules("- backendRefs:\n  - {providerHost: a, weight: 0.5}"),
        *(9, 33, f"{RULE}.backendRefs[0].weight", "a whole number, got 0.5"),
    ),
    (
        rules("- backendRefs:\n  - {providerHost: a, weight: 2147483648}"),
        *(9, 33, f"{RULE}.backendRefs[0].weight", "at most 2147483647"),
    ),
    (
        rules("- backendRefs:\n  - {providerHost: a, weight: 0}\n  - {providerHost: b, weight: 0}"),
        *(9, 5, f"{RULE}.backendRefs", "weight above 0"),
    ),
    (
        rules("- backendRefs:\n  - {providerHost: a, weight: 0}\n  - {providerHost: b}"),
        *(9, 5, f"{RULE}.backendRefs", "weight above 0"),
    ),
    (
        rules("- backendRefs:\n  - {providerHost: a, wieght: 1}"),
        *(9, 25, f"{RULE}.backendRefs[0].wieght", "did you mean `weight`?"),
    ),
    (
        rules("- {name: a, backendRefs: [{providerHost: a}]}\n" * 2),
        *(9, 12, "spec.rules[1].name", "rules[0] too"),
    ),
    (match("headers: {User-Type: {exact: a}}"), 12, 17, f"{MATCH}.headers.User-Type", "lower case"),
    (match("headers: {uri: {exact: /}}"), 12, 17, f"{MATCH}.headers.uri", "`path`"),
    (match("headers: {method: {exact: A}}"), 12, 17, f"{MATCH}.headers.method", "`method`"),
    (match("headers: {authority: {}}"), 12, 17, f"{MATCH}.headers.authority", "host of the route"),
    (match("headers: {scheme: {}}"), 12, 17, f"{MATCH}.headers.scheme", "not a header"),
    (match("headers: {a: {exact: b, regex: c}}"), 12, 20, f"{MATCH}.headers.a", "at most one"),
    (match("headers: {a: {suffix: b}}"), 12, 21, f"{MATCH}.headers.a.suffix", "exact, prefix"),
    (match("headers: {a: {exact: on}}"), 12, 28, f"{MATCH}.headers.a.exact", "got on; put it in"),
    (match("headers: {a: }"), 12, 19, f"{MATCH}.headers.a", "has no value"),
    (match("headers:"), 12, 15, f"{MATCH}.headers", "has no value"),
    (match("headers: {a: {exact: }}"), 12, 27, f"{MATCH}.headers.a.exact", "has no value"),
    (
        match("model: gpt"),
        12,
        14,
        f"{MATCH}.model",
        "must be a mapping, got a string; expected one of: exact, prefix, regex",
    ),
]


@rows(("text", "line", "column", "field", "message"), MISTAKES)
def test_a_mistake_is_refused_where_it_is(
    text: str, line: int, column: int, field: str, message: str
) -> None:
    manifest = parse(text, {"EMPTY": ""})
    problems = [problem for problem in manifest.problems if message in problem.message]
    assert [(p.source, p.line, p.column, p.field, p.severity) for p in problems] == [
        ("mesh.yaml", line, column, field, "error")
    ]
    assert manifest.resources == ()


def test_a_misspelt_required_field_is_both_missing_and_unknown() -> None:
    problems = parse(provider("hots: a.example")).problems
    assert [(p.field, p.message) for p in problems] == [
        ("spec.host", "is missing"),
        ("spec.hots", "unknown field; did you mean `host`?"),
    ]


def test_all_mistakes_of_all_documents_are_told_at_once_in_the_order_of_lines() -> None:
    first = provider("path: v1\nhost: a b\nfoo: 1")
    second = route("host: a:1\nrules: []")
    problems = parse(first + "---\n" + second).problems
    assert [(p.line, p.field) for p in problems] == [
        (6, "spec.path"),
        (7, "spec.host"),
        (8, "spec.foo"),
        (15, "spec.host"),
        (16, "spec.rules"),
    ]


def test_a_faulty_backend_is_not_also_a_missing_one() -> None:
    problems = parse(rules("- backendRefs:\n  - {providerHost: a, weight: x}")).problems
    assert [p.field for p in problems] == [f"{RULE}.backendRefs[0].weight"]


def test_a_long_value_is_shortened() -> None:
    (problem,) = parse(provider(f"host: a\npath: {'x' * 500}")).problems
    assert problem.message == f"must begin with one /, got '{'x' * 60}…'"


def test_a_value_is_shown_as_it_was_written() -> None:
    (problem,) = parse(provider("host: ${HOST}"), {"HOST": "a secret"}).problems
    assert problem.message.endswith("got '${HOST}'")


def test_a_provider_that_cannot_be_used_is_known_by_its_host() -> None:
    broken = provider("host: A.example.\npath: v1")
    manifest = parse(broken + "---\n" + provider("host: b.example"))
    assert manifest.broken_hosts == {"a.example"}
    assert [resource.name for resource in manifest.resources] == ["acme"]


def test_only_broken_providers_count_as_broken_hosts() -> None:
    assert parse(route("host: a.example\nrules: []")).broken_hosts == frozenset()
    assert parse(PROVIDER_HEAD.replace("LLMProvider", "Service")).broken_hosts == frozenset()
