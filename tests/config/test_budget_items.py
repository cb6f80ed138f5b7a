"""Budgets in `LLMPolicy` documents: what is refused, where, and with which advice."""

from __future__ import annotations

from textwrap import indent

from llm_mesh_middleware._compile import Compiled
from llm_mesh_middleware._core.limiting.budget import Budget
from llm_mesh_middleware._core.policy.limits import CallLimits
from tests.config.documents import only_problem, parse
from tests.core.tables import compiled, provider, route
from tests.rows import rows

HEAD = """\
apiVersion: llm-mesh.dev/v1alpha1
kind: LLMPolicy
metadata: {name: team}
spec:
"""


def budget(text: str, more: str = "") -> str:
    """A policy of one budget, whose fields stand in line 6 in flow style, and `more`."""
    spec = f"budgets:\n- {{name: money, {text}}}\n{more}"
    return HEAD + indent(spec, "  ")


@rows(
    "fields",
    [
        "amount: 500, per: month",
        "amount: '0.000000001', per: day, currency: CNY, timeZone: Asia/Shanghai",
        "amount: 5, per: 36h, warnAt: [0.5, 1], onExceeded: fallback, unpriced: deny",
        "amount: 5, per: quarter, by: [consumer, 'attribute:team'], onMissing: skip, reserve: auto",
        "amount: 5, per: year, overrides: [{match: {model: {exact: a}}, amount: 7}]",
        "amount: 5, per: week, when: [{model: {prefix: big}}], shadow: true",
    ],
)
def test_a_budget_that_is_right(fields: str) -> None:
    assert parse(budget(fields)).problems == ()


@rows(
    ("fields", "field", "message"),
    [
        ("amount: 0.5, per: day", "amount", "a decimal one in quotes"),
        ("amount: 1e3, per: day", "amount", "a decimal one in quotes"),
        ("amount: -5, per: day", "amount", "above 0"),
        ("amount: '-5', per: day", "amount", "above 0"),
        ("amount: 0, per: day", "amount", "must be above 0"),
        ("amount: '0.0000000001', per: day", "amount", "above 0"),
        ("amount: 1000000000, per: day", "amount", "below a billion"),
        ("amount: true, per: day", "amount", "must be a whole number"),
        ("amount: 5", "per", "is missing"),
        ("amount: 5, per: fortnight", "per", "must be one of day, week, month, quarter, year"),
        ("amount: 5, per: 10ms", "per", "a second or longer"),
        ("amount: 5, per: day, currency: dollars", "currency", "three capitals"),
        ("amount: 5, per: day, timeZone: Mars/Base", "timeZone", "Asia/Shanghai"),
        ("amount: 5, per: day, timeZone: ../etc/passwd", "timeZone", "Asia/Shanghai"),
        ("amount: 5, per: 1h, timeZone: UTC", "timeZone", "has no time zone"),
        ("amount: 5, per: day, warnAt: [1.5]", "warnAt[0]", "at most 1"),
        ("amount: 5, per: day, warnAt: [0]", "warnAt[0]", "more than 0"),
        ("amount: 5, per: day, onExceeded: stop", "onExceeded", "must be one of"),
        ("amount: 5, per: day, shadow: true, onExceeded: deny", "onExceeded", "shadow"),
        ("amount: 5, per: day, by: ['header:x-team']", "by[0]", "trustHeaders: true"),
        ("amount: 5, per: day, limit: 5", "limit", "unknown field"),
    ],
)
def test_a_budget_that_is_wrong(fields: str, field: str, message: str) -> None:
    problem = only_problem(parse(budget(fields)))
    assert problem.field == f"spec.budgets[0].{field}"
    assert message in problem.message
    assert problem.line == 6


def priced(currency: str = "USD") -> str:
    return provider(spec=f"prices: [{{currency: {currency}, perMillion: {{input: '1'}}}}]")


def with_budget(*documents: str, **words: str) -> Compiled:
    rules = "- {name: main, backendRefs: [{providerHost: acme.example}]}"
    return compiled(*documents, route(rules, name="chat"), budget(**words))


def test_a_budget_holds_for_a_rule_with_the_prices_of_its_backends() -> None:
    table = with_budget(priced(), text="amount: '0.25', per: day").table
    assert table is not None
    (host,) = (host for host in table.hosts if host.name == "chat")
    (layer,) = host.rules[0].policies
    assert isinstance(layer, CallLimits)
    (item,) = layer.items
    assert isinstance(item, Budget)
    assert (item.amount, item.currency) == (250_000_000, "USD")
    assert [upstream.provider for upstream in layer.upstreams] == ["acme"]


def test_a_cost_in_another_currency_must_have_a_budget_of_its_own() -> None:
    result = with_budget(priced("CNY"), text="amount: 5, per: day")
    (problem,) = result.problems
    assert problem.severity == "error"
    assert problem.field == "spec.budgets[0].currency"
    assert "cost CNY, which no budget for it counts" in problem.message
    other = "- {name: other, amount: 5, per: day, currency: CNY}"
    assert with_budget(priced("CNY"), text="amount: 5, per: day", more=other).problems == ()


def test_a_model_without_a_price_is_warned_of() -> None:
    result = with_budget(provider(), text="amount: 5, per: day")
    (problem,) = result.problems
    assert problem.severity == "warning"
    assert "no price is known of the models of" in problem.message
    assert result.table is not None


def test_a_condition_of_a_budget_does_not_disappear() -> None:
    problem = only_problem(parse(budget("amount: 1, per: day, when: [{model: }]")))
    assert problem.field == "spec.budgets[0].when[0].model"
