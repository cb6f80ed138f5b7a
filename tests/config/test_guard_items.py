"""`LLMPolicy.spec.guards`: what is right, and what is refused, where and with which advice."""

from __future__ import annotations

from tests.config.documents import only_problem, parse
from tests.config.test_policies import policy
from tests.core.tables import compiled, provider
from tests.rows import rows


def guard(text: str) -> str:
    """A policy of one guard, whose fields stand in line 6 from column 6 on, in flow style."""
    return policy(f"guards:\n- {{name: one, {text}}}")


@rows(
    "fields",
    [
        "pii: {}",
        "pii: {entities: [PHONE, IP_ADDRESS]}, on: [request, response], action: {mask: {}}",
        "pii: {}, action: {mask: {unmask: true}}, roles: [user, tool], shadow: true",
        "keywords: {deny: [bluebird], ignoreCase: true}, action: {deny: {status: 451}}",
        "regex: {deny: ['proj-[0-9]+'], maxMatch: 40}, action: {log: {}}",
        "regex: {allow: ['^Order']}, roles: [user]",
        "schema: {answer: {type: object, required: [city]}}, action: {log: {}}",
        "schema: {tools: {send: {type: object}}}, on: [response]",
        "webhook: {url: 'https://guards.example:8443/check?v=1'}, timeout: 500ms, window: 200",
        "webhook: {url: 'http://guards'}, action: {mask: {unmask: true}}, onFailure: allow",
        "webhook: {url: 'http://guards'}, mode: concurrent, on: [request, response]",
        "judge: {providerHost: llm.example, model: small, rules: No jokes.}, on: [response]",
        "moderation: {providerHost: llm.example, thresholds: {violence: 0.5}}, action: {log: {}}",
    ],
)
def test_a_guard_that_is_right(fields: str) -> None:
    assert parse(guard(fields)).problems == ()


@rows(
    ("fields", "field", "message"),
    [
        ("pii: {}, action: mask", "action", "must be a mapping, got a string; write mask: {}"),
        (
            "shadow: true",
            None,
            "must have one of pii, keywords, regex, schema, webhook, judge and moderation",
        ),
        (
            "pii: {}, regex: {deny: [a]}",
            None,
            "must have one of pii, keywords, regex, schema, webhook, judge and moderation",
        ),
        ("pii: {entities: []}", "pii.entities", "must have at least 1 item"),
        ("pii: {entities: [NAME]}", "pii.entities[0]", "must be one of"),
        ("keywords: {deny: []}", "keywords.deny", "must have at least 1 item"),
        ("keywords: {deny: ['']}", "keywords.deny[0]", "at least 1"),
        ("regex: {deny: [a], maxMatch: 5000}", "regex.maxMatch", "4096"),
        ("pii: {}, action: {deny: {status: 200}}", "action.deny.status", "400"),
        ("pii: {}, action: {}", "action", "must have one of deny, mask and log"),
        ("pii: {}, on: []", "on", "must have at least 1 item"),
        ("pii: {}, roles: []", "roles", "must have at least 1 item"),
        ("regex: {maxMatch: 4}", "regex", "must have one of deny and allow"),
        ("regex: {allow: [a]}, action: {mask: {}}", "action.mask", "what is missing"),
        ("regex: {allow: [a]}, on: [request, response]", "on", "must be [request]"),
        ("pii: {}, timeout: 1s", "timeout", "is only for guards with one of"),
        ("pii: {}, onFailure: allow", "onFailure", "is only for guards with one of"),
        ("pii: {}, window: 100", "window", "is only for guards with one of"),
        ("pii: {}, mode: concurrent", "mode", "is only for guards with one of"),
        ("judge: {providerHost: a}, mode: beside", "mode", "must be one of"),
        ("judge: {providerHost: a}, mode: concurrent, on: [response]", "mode", "is about requests"),
        (
            "webhook: {url: 'http://x/'}, mode: concurrent, action: {mask: {}}",
            "action.mask",
            "the request is sent as it is",
        ),
        ("schema: {}", "schema", "must have one of answer and tools"),
        ("schema: {answer: true}", "schema.answer", "must be a mapping"),
        ("schema: {answer: {}}, on: [request]", "on", "must be [response]"),
        ("schema: {answer: {}}, action: {mask: {}}", "action.mask", "a whole answer"),
        ("schema: {answer: {}}, roles: [user]", "roles", "a schema is about answers"),
        ("schema: {answer: {}}, timeout: 1s", "timeout", "is only for guards with one of"),
        ("webhook: {url: ftp://x}", "webhook.url", "must be http:// or https://"),
        ("webhook: {url: 'http://x/a b'}", "webhook.url", "percent-encode"),
        ("webhook: {url: 'http://x/'}, onFailure: retry", "onFailure", "must be one of"),
        ("judge: {model: x}", "judge.providerHost", "is missing"),
        ("judge: {providerHost: a}, action: {mask: {}}", "action.mask", "which part of a text"),
        ("moderation: {providerHost: a, thresholds: {x: 2}}", "moderation.thresholds.x", "1"),
        (
            "pii: {}, on: [response], action: {mask: {unmask: true}}",
            "action.mask.unmask",
            "`on` must have request",
        ),
    ],
)
def test_a_guard_that_is_refused(fields: str, field: str | None, message: str) -> None:
    problem = only_problem(parse(guard(fields)))
    place = "spec.guards[0]" + (f".{field}" if field else "")

    assert problem.field == place
    assert message in problem.message
    assert problem.line == 6


@rows("pattern", ["(?>a)", "(?=a)b", "["])
def test_an_expression_that_is_not_linear_is_an_error(pattern: str) -> None:
    text = guard(f'regex: {{deny: [good, "{pattern}"]}}')
    (problem,) = compiled(provider(), text).problems

    assert problem.field == "spec.guards[0].regex.deny[1]"
    assert problem.severity == "error"


@rows(
    ("fields", "field", "message"),
    [
        ("judge: {providerHost: nobody.example}", "judge.providerHost", "no LLMProvider has"),
        ("judge: {providerHost: a.example}", "judge.providerHost", "has no model"),
        ("moderation: {providerHost: b.example}", "moderation.providerHost", "no OpenAI chat"),
        ("webhook: {url: 'http://x/', apiKeyFrom: {env: GUARD_KEY}}", "webhook.apiKeyFrom.env", ""),
    ],
)
def test_a_guard_that_cannot_ask_is_an_error(fields: str, field: str, message: str) -> None:
    anthropic = provider("b.example").replace("openAIConfig", "anthropicConfig")
    (problem,) = compiled(provider("a.example"), anthropic, guard(fields)).problems

    assert problem.field == f"spec.guards[0].{field}"
    assert message in problem.message
    assert problem.severity == "error"
