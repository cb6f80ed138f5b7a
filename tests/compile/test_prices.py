"""Prices in manifests, in the file of `LLM_MESH_PRICES`, and from the library."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_mesh_middleware._compile import Compiled, Workload, compile_manifest
from llm_mesh_middleware._core.routing.timeouts import Timeouts
from llm_mesh_middleware._core.values.usage import Usage
from llm_mesh_middleware._manifest import parse_manifest
from tests.core.tables import ACME, compiled, provider, upstream_of
from tests.rows import rows

ONE = Usage(1_000_000, 0)


def priced(prices: str, *documents: str) -> Compiled:
    """The documents, compiled with `LLM_MESH_PRICES`."""
    manifest = parse_manifest("---\n".join(documents), source="mesh.yaml", environ={})
    return compile_manifest(
        manifest, Workload({}), endpoints={}, timeouts=Timeouts(), environ={}, prices=prices
    )


def amount(result: Compiled, model: str, usage: Usage = ONE, host: str = ACME) -> int | None:
    """What the model of the provider costs, in nano-units."""
    assert result.table is not None, result.problems
    price = upstream_of(result.table, host).prices.find(model)
    return None if price is None else price.amount(usage)


@rows(
    ("prices", "field", "message"),
    [
        ("[{perMillion: {input: 0.3}}]", "perMillion.input", "must be a decimal number in quotes"),
        ("[{perMillion: {input: 3}}]", "perMillion.input", "must be a decimal number in quotes"),
        ("[{perMillion: {input: '-1'}}]", "perMillion.input", "must be a decimal number"),
        ("[{perMillion: {input: '1e3'}}]", "perMillion.input", "must be a decimal number"),
        ("[{perMillion: {input: nan}}]", "perMillion.input", "must be a decimal number"),
        ("[{perMillion: {input: '0.0000000001'}}]", "perMillion.input", "must be a decimal"),
        ("[{perMillion: {}}]", "perMillion", "must have at least one price"),
        ("[{perMillion: {input: '1', inptu: '2'}}]", "perMillion.inptu", "unknown field"),
        ("[{perMillion: {input: '1'}, currency: usd}]", "currency", "three capitals"),
        ("[{model: {regex: '('}, perMillion: {input: '1'}}]", "model.regex", ""),
        ("[{perMillion: {input: '1'}, tiers: [{aboveInput: 1k}]}]", "tiers[0]", "at least one"),
        (
            "[{perMillion: {input: '1'}, tiers: [{aboveInput: 1.5k, input: '1'}]}]",
            "tiers[0].aboveInput",
            "must be a whole number",
        ),
        (
            "[{perMillion: {input: '1'}, tiers: [{aboveInput: 1k, input: '2'},"
            " {aboveInput: 1000, input: '3'}]}]",
            "",
            "two tiers with the same aboveInput",
        ),
    ],
)
def test_a_faulty_price_is_a_problem_with_its_place(prices: str, field: str, message: str) -> None:
    (problem,) = compiled(provider(spec=f"prices: {prices}")).problems
    assert problem.field == f"spec.prices[0].{field}".rstrip(".")
    assert message in problem.message
    assert problem.line > 0


def test_the_first_entry_that_matches_counts() -> None:
    result = compiled(
        provider(
            spec="""
            prices:
            - {model: {prefix: m-big}, perMillion: {input: "2"}}
            - {perMillion: {input: "1"}}
            - {model: {exact: m-small}, perMillion: {input: "9"}}
            """
        )
    )
    assert amount(result, "m-big-1") == 2 * 10**9
    assert amount(result, "m-small") == 10**9


def test_the_prices_of_a_file_stand_behind_those_of_the_manifest(tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(f"{ACME}: [{{perMillion: {{input: '5'}}}}]\nother.example: []\n")
    own = "prices: [{model: {exact: own}, perMillion: {input: '1'}}]"
    result = priced(str(file), provider(spec=own))
    assert amount(result, "own") == 10**9
    assert amount(result, "any") == 5 * 10**9
    assert str(file) in result.files  # a change of it is noticed


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("acme.example: [{perMillion: {input: 0.5}}]", 1),
        ("acme.example:\n- perMillion: {input: '1'}\n- perMillion: {}", 3),
        ("acme.example:\n- model: {regex: '('}\n  perMillion: {input: '1'}", 2),
        ("- 1", 1),
        ("a: {", 1),
        ("a: []\na: []", 2),
        ("", 0),
    ],
)
def test_a_faulty_file_is_a_problem_with_its_place(tmp_path: Path, text: str, line: int) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(text)
    result = priced(str(file), provider())
    assert result.table is None
    assert result.problems[0].source == str(file)
    assert result.problems[0].line == line


def test_a_file_that_is_missing_is_a_problem() -> None:
    (problem,) = priced("/nowhere/prices.yaml", provider()).problems
    assert problem.source == "LLM_MESH_PRICES"
    assert "cannot read /nowhere/prices.yaml" in problem.message


def test_the_library_knows_prices_of_models_by_their_providers_host() -> None:
    from genai_prices import Usage as TheirUsage
    from genai_prices import calc_price

    models = {
        "api.openai.com": ("gpt-4o", "gpt-4o-mini", "o3", "gpt-5"),
        "api.anthropic.com": ("claude-sonnet-4-5", "claude-3-5-haiku-latest"),
        "generativelanguage.googleapis.com": ("gemini-2.5-pro", "gemini-2.5-flash"),
    }
    result = priced("genai-prices", *(provider(host) for host in models))
    usages = (Usage(1000, 300, 200), Usage(250_000, 7, 100_000), Usage(11, 5))
    for host, names in models.items():
        for name in names:
            for usage in usages:
                theirs = TheirUsage(
                    input_tokens=usage.input_tokens,
                    output_tokens=usage.output_tokens,
                    cache_read_tokens=usage.cache_read_tokens,
                )
                expected = calc_price(theirs, name, provider_api_url=f"https://{host}")
                found = amount(result, name, usage, host)
                assert found == round(expected.total_price * 10**9), (name, usage)


def test_the_library_has_no_price_for_a_provider_or_model_that_it_does_not_know() -> None:
    result = priced("genai-prices", provider(), provider("api.openai.com"))
    assert amount(result, "gpt-4o") is None
    assert amount(result, "made-up", host="api.openai.com") is None


def test_a_change_of_prices_leaves_the_provider_the_same() -> None:
    def identity(spec: str) -> object:
        result = compiled(provider(spec=spec))
        assert result.table is not None
        return upstream_of(result.table, ACME).identity

    assert identity("") == identity("prices: [{perMillion: {input: '1'}}]")
    assert identity("") != identity("maxConcurrency: 3")
