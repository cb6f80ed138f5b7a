"""The spellings of retry, stickyBy, outlierDetection and maxConcurrency, and what is refused."""

from __future__ import annotations

import pytest

from llm_mesh_middleware._compile import Workload, compile_manifest
from llm_mesh_middleware._core.balance.balancer import Balancer
from llm_mesh_middleware._core.balance.sticky import Sticky
from llm_mesh_middleware._core.balance.weighted import Weighted
from llm_mesh_middleware._core.provider.outlier_detection import OutlierDetection
from llm_mesh_middleware._core.provider.upstream import Upstream
from llm_mesh_middleware._core.routing.retry_policy import RetryPolicy
from llm_mesh_middleware._core.routing.table import RouteRule
from llm_mesh_middleware._core.routing.timeouts import Timeouts
from tests.config.documents import only_problem, parse, provider, rules
from tests.rows import rows


def rule(fields: str, spec: str = "host: acme.example") -> RouteRule:
    """A rule with these fields, compiled, for a provider with this spec."""
    backends = "- backendRefs:\n  - providerHost: acme.example\n"
    manifest = parse(provider(spec) + "---\n" + rules(backends + _indented(fields)))
    assert manifest.problems == ()
    compiled = compile_manifest(
        manifest,
        Workload({}, "default", frozenset(("mesh",))),
        endpoints={},
        timeouts=Timeouts(),
        environ={},
    )
    assert compiled.table is not None
    host = next(host for host in compiled.table.hosts if host.route == "acme")
    return host.rules[0]


def upstream(spec: str) -> Upstream:
    """The provider with these lines in its spec, compiled."""
    return rule("", f"host: acme.example\n{spec}").backends.tiers[0][0].upstream


def fault(fields: str) -> tuple[str, str]:
    """Where the only problem of a rule with these fields is, and what is said of it."""
    backends = "- backendRefs:\n  - providerHost: acme.example\n"
    problem = only_problem(parse(rules(backends + _indented(fields))))
    assert problem.severity == "error"
    assert problem.line > 0
    return problem.field.removeprefix("spec.rules[0]."), problem.message


def provider_fault(spec: str) -> tuple[str, str]:
    """The same for the spec of a provider."""
    problem = only_problem(parse(provider(f"host: acme.example\n{spec}")))
    assert problem.severity == "error"
    return problem.field.removeprefix("spec."), problem.message


def _indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())


@rows(
    ("fields", "policy"),
    [
        ("", RetryPolicy()),
        ("retry: {}", RetryPolicy()),
        ("retry: {attempts: 0}", RetryPolicy(attempts=0)),
        ("retry: {attempts: 10}", RetryPolicy(attempts=10)),
        ("retry: {codes: [500, 529]}", RetryPolicy(codes=frozenset((500, 529)))),
        ("retry: {codes: []}", RetryPolicy(codes=frozenset())),
        (
            "retry: {codes: [429, context_length_exceeded]}",
            RetryPolicy(codes=frozenset((429,)), reasons=frozenset(("context_length_exceeded",))),
        ),
        ("retry: {backoff: 100ms}", RetryPolicy(backoff_s=0.1)),
        ("retry: {backoff: 2}", RetryPolicy(backoff_s=2.0)),
        ("retry: {maxRetryAfter: 1m30s}", RetryPolicy(max_retry_after_s=90.0)),
        ("retry: {maxRetryAfter: 0.5}", RetryPolicy(max_retry_after_s=0.5)),
        ("retry: {hedgeAfter: 1.5s}", RetryPolicy(hedge_after_s=1.5)),
    ],
)
def test_retry_is_read_field_by_field(fields: str, policy: RetryPolicy) -> None:
    assert rule(fields).retry == policy


def test_the_defaults_are_those_that_the_contract_names() -> None:
    assert RetryPolicy() == RetryPolicy(
        attempts=2,
        codes=frozenset((429, 502, 503, 504, 529)),
        reasons=frozenset(),
        backoff_s=0.25,
        max_retry_after_s=5.0,
        hedge_after_s=None,
    )
    assert OutlierDetection() == OutlierDetection(
        consecutive_failures=5,
        interval_s=30.0,
        base_ejection_s=5.0,
        max_ejection_s=300.0,
        half_open_requests=1,
    )
    assert upstream("").max_concurrency is None


@rows(
    ("value", "seconds"),
    [
        ("30s", 30.0),
        ("250ms", 0.25),
        ("1m30s", 90.0),
        ("1h", 3600.0),
        ("0.5s", 0.5),
        ("1.5m", 90.0),
        ("2", 2.0),
        ("0.25", 0.25),
        ("1h1m1s1ms", 3661.001),
    ],
)
def test_spans_of_time_are_text_with_units_or_seconds(value: str, seconds: float) -> None:
    assert rule(f"retry: {{backoff: {value}}}").retry.backoff_s == pytest.approx(seconds)


@rows(
    "value",
    ["0", "0s", "-1", "-1s", "'5'", "5 s", "s", "1d", "soon", "true", "[]", ".nan", ".inf", "1e3s"],
)
@rows("name", ["backoff", "maxRetryAfter", "hedgeAfter"])
def test_other_spans_of_time_are_refused_where_they_stand(name: str, value: str) -> None:
    where, said = fault(f"retry: {{{name}: {value}}}")
    assert where == f"retry.{name}"
    assert said


@rows(
    ("fields", "where", "said"),
    [
        ("retry: {attempts: -1}", "retry.attempts", "0"),
        ("retry: {attempts: 11}", "retry.attempts", "10"),
        ("retry: {attempts: 1.5}", "retry.attempts", "whole number"),
        ("retry: {attempts: '2'}", "retry.attempts", "whole number"),
        ("retry: {attempts: true}", "retry.attempts", "whole number"),
        ("retry: {codes: [200]}", "retry.codes[0]", "400 to 599"),
        ("retry: {codes: [503, 600]}", "retry.codes[1]", "400 to 599"),
        ("retry: {codes: ['503']}", "retry.codes[0]", "without quotes"),
        ("retry: {codes: ['']}", "retry.codes[0]", "empty"),
        ("retry: {codes: 503}", "retry.codes", "list"),
        ("retry: {codes: [true]}", "retry.codes[0]", ""),
        ("retry: {codes: [5xx]}", "retry.codes[0]", "400 to 599"),
        ("retry: {attemps: 1}", "retry.attemps", "attempts"),
        ("retry: 2", "retry", "mapping"),
        ("retries: {attempts: 1}", "retries", "retry"),
        ("stickyBy: {}", "stickyBy", "exactly one"),
        ("stickyBy: {header: x-user, attribute: user}", "stickyBy", "exactly one"),
        ("stickyBy: {header: X-User}", "stickyBy.header", "lower case"),
        ("stickyBy: {header: 'x user'}", "stickyBy.header", "header name"),
        ("stickyBy: {header: method}", "stickyBy.header", "not a header"),
        ("stickyBy: {attribute: ''}", "stickyBy.attribute", "empty"),
        ("stickyBy: {cookie: id}", "stickyBy.cookie", ""),
        ("stickyBy: x-user", "stickyBy", "mapping"),
    ],
)
def test_what_a_rule_must_not_say(fields: str, where: str, said: str) -> None:
    field, message = fault(fields)
    assert field == where
    assert said in message


@rows(
    ("fields", "balancer"),
    [
        ("", Weighted()),
        ("stickyBy: {header: x-user}", Sticky("header", "x-user")),
        ("stickyBy: {attribute: user}", Sticky("attribute", "user")),
    ],
)
def test_what_sticks(fields: str, balancer: Balancer) -> None:
    assert rule(fields).balancer == balancer


@rows(
    ("spec", "detection"),
    [
        ("", OutlierDetection()),
        ("outlierDetection: {}", OutlierDetection()),
        (
            "outlierDetection: {consecutiveFailures: 3}",
            OutlierDetection(consecutive_failures=3),
        ),
        ("outlierDetection: {interval: 1m}", OutlierDetection(interval_s=60.0)),
        ("outlierDetection: {baseEjectionTime: 500ms}", OutlierDetection(base_ejection_s=0.5)),
        ("outlierDetection: {maxEjectionTime: 1h}", OutlierDetection(max_ejection_s=3600.0)),
        ("outlierDetection: {halfOpenRequests: 4}", OutlierDetection(half_open_requests=4)),
    ],
)
def test_outlier_detection_is_read_field_by_field(spec: str, detection: OutlierDetection) -> None:
    assert upstream(spec).detection == detection


@rows(
    ("spec", "where"),
    [
        ("maxConcurrency: 0", "maxConcurrency"),
        ("maxConcurrency: -1", "maxConcurrency"),
        ("maxConcurrency: 2.5", "maxConcurrency"),
        ("maxConcurrency: '5'", "maxConcurrency"),
        ("maxConcurrency: true", "maxConcurrency"),
        ("maxConcurency: 5", "maxConcurency"),
        ("outlierDetection: {consecutiveFailures: -1}", "outlierDetection.consecutiveFailures"),
        ("outlierDetection: {halfOpenRequests: 0}", "outlierDetection.halfOpenRequests"),
        ("outlierDetection: {interval: 0s}", "outlierDetection.interval"),
        ("outlierDetection: {baseEjectionTime: never}", "outlierDetection.baseEjectionTime"),
        ("outlierDetection: {maxEjectionTime: -1s}", "outlierDetection.maxEjectionTime"),
        ("outlierDetection: {consecutive5xxErrors: 5}", "outlierDetection.consecutive5xxErrors"),
        ("outlierDetection: 5", "outlierDetection"),
    ],
)
def test_what_a_provider_must_not_say(spec: str, where: str) -> None:
    field, message = provider_fault(spec)
    assert field == where
    assert message


def test_the_limit_of_calls_is_the_providers_in_every_rule() -> None:
    assert upstream("maxConcurrency: 7").max_concurrency == 7


@rows("priority", ["-1", "1.5", "'1'", "high"])
def test_a_priority_is_a_whole_number_from_0(priority: str) -> None:
    text = f"- backendRefs:\n  - providerHost: acme.example\n    priority: {priority}\n"
    problem = only_problem(parse(rules(text)))
    assert problem.field == "spec.rules[0].backendRefs[0].priority"
