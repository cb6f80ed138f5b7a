"""The cost of responses to the nano-unit, against sums written out by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction

from llm_mesh_middleware._core.conversation.writing import Stamp
from llm_mesh_middleware._core.dialect import Dialect
from llm_mesh_middleware._core.pricing.charge import Charge, format_amount, format_costs
from llm_mesh_middleware._core.pricing.prices import Price, PriceList, Rates
from llm_mesh_middleware._core.values.usage import Usage
from llm_mesh_middleware._dialects import anthropic, gemini, openai_chat, openai_responses
from llm_mesh_middleware._dialects.bedrock.answers import read_answer
from tests.core.tables import ACME, provider, route, table, upstream_of
from tests.rows import rows

PRICES = """
prices:
- model: {exact: plain}
  perMillion: {input: "2.50", output: "10"}
- model: {exact: cents}
  perMillion: {input: "0.0375", output: "0.15"}
- model: {exact: cached}
  perMillion: {input: "3", output: "15", cacheRead: "0.30", cacheWrite: "3.75"}
- model: {exact: thinks}
  currency: CNY
  perMillion: {input: "0.3", cacheRead: "0.12", output: "0.6", reasoning: "3"}
- model: {exact: tiered}
  perMillion: {input: "1.25", output: "10", cacheRead: "0.125"}
  tiers:
  - {aboveInput: 200k, input: "2.50", output: "15", cacheRead: "0.25"}
  - {aboveInput: 1M, input: "5"}
- model: {exact: hears}
  perMillion:
    {input: "4", output: "16", cacheRead: "0.4", inputAudio: "32", outputAudio: "64",
     cacheReadAudio: "0.5"}
- model: {exact: sees}
  perMillion: {input: "5", output: "10", inputImage: "10", outputImage: "40"}
- model: {exact: flat}
  perMillion: {input: "1", output: "5"}
  perRequest: "0.005"
- model: {exact: embeds}
  perMillion: {input: "0.02"}
"""
UPSTREAM = upstream_of(
    table(provider(spec=PRICES), route(f"- backendRefs: [{{providerHost: {ACME}}}]"))
)

Sum = list[tuple[int, str]]
# What reads the counts that a provider reports.
Reader = Callable[[dict[str, object]], Usage]


def of_whole(dialect: Dialect, **body: object) -> Usage:
    """The token counts of a whole response in the form of a dialect."""
    whole = dialect.read_whole(json.dumps(body).encode())
    assert whole is not None
    counted = whole.summary(None).usage
    assert counted is not None
    return counted


def of_chat(usage: dict[str, object]) -> Usage:
    dialect = openai_chat.CHAT.dialect
    return of_whole(dialect, id="a", object="chat.completion", choices=[], usage=usage)


def of_responses(usage: dict[str, object]) -> Usage:
    return of_whole(openai_responses.DIALECT, id="a", object="response", output=[], usage=usage)


def of_messages(usage: dict[str, object]) -> Usage:
    dialect = anthropic.MESSAGES.dialect
    return of_whole(dialect, id="a", type="message", role="assistant", content=[], usage=usage)


def of_contents(usage: dict[str, object]) -> Usage:
    return of_whole(gemini.DIALECT, candidates=[], usageMetadata=usage)


def of_converse(usage: dict[str, object]) -> Usage:
    body = {"output": {"message": {"role": "assistant", "content": [{"text": "a"}]}}}
    whole = json.dumps(body | {"stopReason": "end_turn", "usage": usage}).encode()
    answered = read_answer(whole, Stamp(0, ""))
    assert answered.usage is not None
    return answered.usage


def chat(
    given: int, made: int, *, inputs: object = None, outputs: object = None, **more: int
) -> dict[str, object]:
    return {
        "prompt_tokens": given,
        "completion_tokens": made,
        "prompt_tokens_details": inputs,
        "completion_tokens_details": outputs,
        **more,
    }


def responses(given: int, made: int, cached: int = 0, thought: int = 0) -> dict[str, object]:
    return {
        "input_tokens": given,
        "output_tokens": made,
        "total_tokens": given + made,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens_details": {"reasoning_tokens": thought},
    }


def messages(given: int, made: int, read: int = 0, written: int = 0) -> dict[str, object]:
    return {
        "input_tokens": given,
        "output_tokens": made,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
    }


def contents(
    given: int, said: int, cached: int = 0, thought: int = 0, tools: int = 0
) -> dict[str, object]:
    return {
        "promptTokenCount": given,
        "candidatesTokenCount": said,
        "cachedContentTokenCount": cached,
        "thoughtsTokenCount": thought,
        "toolUsePromptTokenCount": tools,
        "totalTokenCount": given + said + thought + tools,
    }


def of(modality: str, count: int) -> dict[str, object]:
    return {"modality": modality, "tokenCount": count}


def converse(given: int, made: int, read: int = 0, written: int = 0) -> dict[str, object]:
    return {
        "inputTokens": given,
        "outputTokens": made,
        "totalTokens": given + made + read + written,
        "cacheReadInputTokens": read,
        "cacheWriteInputTokens": written,
    }


AUDIO_IN = {"audio_tokens": 30, "cached_tokens": 0}
AUDIO_CACHED = {
    "audio_tokens": 30,
    "cached_tokens": 40,
    "cached_tokens_details": {"text_tokens": 20, "audio_tokens": 20},
}

# Model, `usage` as the provider reports it, and what is paid for: tokens and price of a million.
CHATS: list[tuple[str, dict[str, object], Sum]] = [
    ("plain", chat(1000, 500), [(1000, "2.50"), (500, "10")]),
    ("plain", chat(1, 0), [(1, "2.50")]),
    ("plain", chat(0, 1), [(1, "10")]),
    ("plain", chat(0, 0), []),
    ("plain", chat(10, 20, inputs={"cached_tokens": 4}), [(10, "2.50"), (20, "10")]),
    ("plain", chat(10, 20, outputs={"reasoning_tokens": 15}), [(10, "2.50"), (20, "10")]),
    ("plain", chat(10, 5, outputs={"reasoning_tokens": 15}), [(10, "2.50"), (20, "10")]),
    ("plain", chat(10, 5, total_tokens=30), [(10, "2.50"), (20, "10")]),
    ("cents", chat(1, 1), [(1, "0.0375"), (1, "0.15")]),
    ("cents", chat(3, 7), [(3, "0.0375"), (7, "0.15")]),
    ("cents", chat(123_457, 76_543), [(123_457, "0.0375"), (76_543, "0.15")]),
    (
        "cached",
        chat(2006, 300, inputs={"cached_tokens": 1920}),
        [(86, "3"), (1920, "0.30"), (300, "15")],
    ),
    ("cached", chat(2006, 300, inputs={"cached_tokens": 2006}), [(2006, "0.30"), (300, "15")]),
    ("cached", chat(100, 10, prompt_cache_hit_tokens=64), [(36, "3"), (64, "0.30"), (10, "15")]),
    ("cached", chat(100, 10, cached_tokens=64), [(36, "3"), (64, "0.30"), (10, "15")]),
    (
        "cached",
        chat(100, 10, inputs={"cache_creation_input_tokens": 60}),
        [(40, "3"), (60, "3.75"), (10, "15")],
    ),
    (
        "cached",
        chat(100, 10, inputs={"cached_tokens": 30, "cache_write_tokens": 50}),
        [(20, "3"), (30, "0.30"), (50, "3.75"), (10, "15")],
    ),
    ("cached", chat(100, 10, inputs={"cached_tokens": 900}), [(100, "0.30"), (10, "15")]),
    (
        "thinks",
        chat(50, 40, outputs={"reasoning_tokens": 25}),
        [(50, "0.3"), (15, "0.6"), (25, "3")],
    ),
    (
        "thinks",
        chat(50, 40, inputs={"cached_tokens": 10}, outputs={"reasoning_tokens": 40}),
        [(40, "0.3"), (10, "0.12"), (40, "3")],
    ),
    ("tiered", chat(200_000, 10), [(200_000, "1.25"), (10, "10")]),
    ("tiered", chat(200_001, 10), [(200_001, "2.50"), (10, "15")]),
    (
        "tiered",
        chat(250_000, 10, inputs={"cached_tokens": 240_000}),
        [(10_000, "2.50"), (240_000, "0.25"), (10, "15")],
    ),
    (
        "tiered",
        chat(1_000_001, 10, inputs={"cached_tokens": 1}),
        [(1_000_000, "5"), (1, "0.125"), (10, "10")],
    ),
    ("hears", chat(50, 6, inputs=AUDIO_IN), [(20, "4"), (30, "32"), (6, "16")]),
    (
        "hears",
        chat(90, 6, inputs=AUDIO_CACHED),
        [(40, "4"), (20, "0.4"), (20, "0.5"), (10, "32"), (6, "16")],
    ),
    ("hears", chat(5, 60, outputs={"audio_tokens": 50}), [(5, "4"), (10, "16"), (50, "64")]),
    ("hears", chat(5, 60, outputs={"audio_tokens": 99}), [(5, "4"), (60, "64")]),
    ("sees", chat(500, 9, inputs={"image_tokens": 400}), [(100, "5"), (400, "10"), (9, "10")]),
    ("sees", chat(5, 900, outputs={"image_tokens": 900}), [(5, "5"), (900, "40")]),
    ("sees", chat(5, 90, inputs={"audio_tokens": 5}), [(5, "5"), (90, "10")]),
    ("flat", chat(10, 20), [(10, "1"), (20, "5"), (1, "5000")]),
    ("flat", chat(0, 0), [(1, "5000")]),
    ("embeds", {"prompt_tokens": 8, "total_tokens": 8}, [(8, "0.02")]),
]
OTHERS: list[tuple[Reader, str, dict[str, object], Sum]] = [
    *(
        (of_responses, model, usage, parts)
        for model, usage, parts in (
            ("plain", responses(75, 1186, 64, 1024), [(75, "2.50"), (1186, "10")]),
            ("cached", responses(75, 100, 64), [(11, "3"), (64, "0.30"), (100, "15")]),
            ("thinks", responses(75, 100, 0, 60), [(75, "0.3"), (40, "0.6"), (60, "3")]),
            ("tiered", responses(300_000, 1), [(300_000, "2.50"), (1, "15")]),
            ("flat", responses(1, 1), [(1, "1"), (1, "5"), (1, "5000")]),
        )
    ),
    *(
        (of_messages, model, usage, parts)
        for model, usage, parts in (
            ("cached", messages(50, 503), [(50, "3"), (503, "15")]),
            ("cached", messages(50, 503, 100_000), [(50, "3"), (100_000, "0.30"), (503, "15")]),
            ("cached", messages(50, 503, 0, 248), [(50, "3"), (248, "3.75"), (503, "15")]),
            ("cached", messages(0, 3, 5, 7), [(5, "0.30"), (7, "3.75"), (3, "15")]),
            ("tiered", messages(1, 1, 200_000), [(1, "2.50"), (200_000, "0.25"), (1, "15")]),
            ("plain", messages(10, 1, 20, 30), [(60, "2.50"), (1, "10")]),
        )
    ),
    *(
        (of_contents, model, usage, parts)
        for model, usage, parts in (
            ("plain", contents(10, 20), [(10, "2.50"), (20, "10")]),
            ("thinks", contents(10, 20, 4, 30), [(6, "0.3"), (4, "0.12"), (20, "0.6"), (30, "3")]),
            ("cached", contents(10, 20, 4, 30, 5), [(11, "3"), (4, "0.30"), (50, "15")]),
            (
                "sees",
                contents(500, 1300)
                | {"promptTokensDetails": [of("TEXT", 242), of("IMAGE", 258)]}
                | {"candidatesTokensDetails": [of("IMAGE", 1290)]},
                [(242, "5"), (258, "10"), (10, "10"), (1290, "40")],
            ),
            ("tiered", contents(200_001, 1), [(200_001, "2.50"), (1, "15")]),
        )
    ),
    *(
        (of_converse, model, usage, parts)
        for model, usage, parts in (
            ("plain", converse(10, 20), [(10, "2.50"), (20, "10")]),
            (
                "cached",
                converse(10, 20, 400, 50),
                [(10, "3"), (400, "0.30"), (50, "3.75"), (20, "15")],
            ),
            ("tiered", converse(1, 1, 200_000), [(1, "2.50"), (200_000, "0.25"), (1, "15")]),
        )
    ),
]
CASES = [(of_chat, *row) for row in CHATS] + OTHERS


def test_the_table_has_forty_responses() -> None:
    assert len(CASES) >= 40


@rows(("read", "model", "usage", "parts"), CASES)
def test_a_response_costs_the_sum_of_its_parts(
    read: Reader, model: str, usage: dict[str, object], parts: Sum
) -> None:
    exact = sum((tokens * Fraction(price) * 1000 for tokens, price in parts), Fraction(0))
    price = UPSTREAM.prices.find(model)
    assert price is not None
    assert price.amount(read(usage)) == int(exact + Fraction(1, 2))
    assert price.currency == ("CNY" if model == "thinks" else "USD")


def test_an_unknown_model_has_no_price() -> None:
    assert UPSTREAM.prices.find("other") is None
    assert UPSTREAM.prices.find(None, None) is None
    assert UPSTREAM.prices.find(None, "plain") is UPSTREAM.prices.find("plain")


@rows(
    ("rates", "usage"),
    [
        (Rates(input=5), Usage(1, 1)),
        (Rates(output=5), Usage(1, 1)),
        (Rates(cache_read=5, output=5), Usage(2, 1, cache_read_tokens=1)),
    ],
)
def test_tokens_without_a_price_leave_the_whole_call_without_one(
    rates: Rates, usage: Usage
) -> None:
    assert Price("USD", rates).amount(usage) is None


def test_names_that_clients_make_up_do_not_fill_the_memory() -> None:
    asked: list[str] = []
    prices = PriceList((), lambda model: asked.append(model))  # type: ignore[func-returns-value]
    for number in range(5000):
        prices.find(f"m-{number}")
    prices.find("m-4999")
    assert len(asked) == 5000
    assert len(prices._known) <= 1024


@rows(
    ("amount", "text"),
    [(0, "0"), (1, "0.000000001"), (123_000, "0.000123"), (2_500_000_000, "2.5"), (10**10, "10")],
)
def test_amounts_are_written_as_decimals(amount: int, text: str) -> None:
    assert format_amount(amount) == text


def test_costs_are_added_up_by_currency() -> None:
    def charge(amount: int | None, currency: str | None) -> Charge:
        return Charge(1, "acme", "m", Usage(1, 1), amount, currency)

    charges = [charge(5, "USD"), charge(None, None), charge(7, "CNY"), charge(6, "USD")]
    assert format_costs(charges) == "0.000000011 USD, 0.000000007 CNY"
    assert format_costs([charge(None, None)]) == ""
