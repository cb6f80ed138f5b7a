"""Estimates of tokens, what they learn, and the keys and needs of limits."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from llm_mesh_middleware._core.limiting.bucket import Rate
from llm_mesh_middleware._core.limiting.estimate import (
    Estimate,
    Learned,
    Past,
    estimate_input,
    estimate_tokens,
)
from llm_mesh_middleware._core.limiting.item import Part
from llm_mesh_middleware._core.limiting.limit import Limit, Weights
from llm_mesh_middleware._core.policy.limits.fields import duration
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware._core.values.payload import decode_fields
from llm_mesh_middleware._core.values.usage import Usage
from llm_mesh_middleware._dialects.anthropic import MESSAGES
from llm_mesh_middleware._dialects.openai_chat import CHAT
from llm_mesh_middleware._dialects.openai_responses import OPERATIONS
from tests.rows import rows

RESPONSES = OPERATIONS[0]


@rows(
    ("body", "tokens"),
    [
        (b"", 0),
        (b"a" * 400, 100),
        ("你" * 300, 200),
        ("\\u4f60" * 300, 200),
        ("é" * 30 + "a" * 40, 23),
        (b"\xff\xfe" * 10, 4),
    ],
)
def test_bytes_are_taken_for_tokens(body: str | bytes, tokens: int) -> None:
    data = body.encode() if isinstance(body, str) else body
    assert abs(estimate_input(data) - tokens) <= 1


@pytest.mark.parametrize("prefix", ["data:image/png;base64,", ""])
def test_an_image_is_not_taken_for_text(prefix: str) -> None:
    image = prefix + base64.b64encode(bytes(range(256)) * 400).decode()
    body = json.dumps({"messages": [{"content": [{"type": "base64", "data": image}, "hello"]}]})
    assert estimate_input(body.encode()) < 600


def asked(operation: Any, **fields: Any) -> ClientRequest:
    body = json.dumps(fields).encode()
    return ClientRequest(
        "POST", "/", Headers([]), body, operation=operation, fields=decode_fields(body)
    )


@rows(
    ("operation", "fields", "limit"),
    [
        (CHAT, {}, None),
        (CHAT, {"max_tokens": 10}, 10),
        (CHAT, {"max_tokens": 10, "max_completion_tokens": 20, "n": 3}, 60),
        (CHAT, {"max_tokens": "10"}, None),
        (CHAT, {"max_tokens": -1}, None),
        (RESPONSES, {"max_output_tokens": 7, "max_tokens": 9}, 7),
        (MESSAGES, {"max_tokens": 8}, 8),
    ],
)
def test_the_output_that_a_request_allows(
    operation: Any, fields: dict[str, Any], limit: int | None
) -> None:
    estimate = estimate_tokens(asked(operation, **fields), Past())
    assert estimate.max_output == (4096 if limit is None else limit)
    assert estimate.output == (256 if limit is None else min(256, limit))


def test_what_calls_have_used_is_expected_of_the_next() -> None:
    learned = Learned()
    for _ in range(100):
        past = learned["r", "m"]
        estimate = estimate_tokens(asked(CHAT, messages="x" * 4000), past)
        past.learn(estimate.uncorrected, Usage(1500, 40))
    assert abs(estimate.input - 1500) < 20
    assert 40 <= estimate.output <= 45
    other = estimate_tokens(asked(CHAT, messages="x" * 4000), learned["r", "other"])
    assert (other.output, other.input) == (256, other.uncorrected)


def test_what_is_learnt_is_bounded() -> None:
    learned = Learned()
    for number in range(10_000):
        learned["r", str(number)].learn(1, Usage(10**9, 10**9))
    assert len(learned) <= 4096
    assert learned["r", "9999"].factor == 2.0


def limit_of(rate: Rate, **fields: Any) -> Limit:
    return Limit(policy="default/team", name="one", kind="tokens", rate=rate, **fields)


def key(by: tuple[Part, ...], *values: str | None) -> str:
    return limit_of(Rate(1, 1, 1), by=by).key(values)


def test_keys_hold_no_value_and_none_can_be_forged() -> None:
    parts = (Part("attribute", "a"), Part("attribute", "b"))
    pairs = [
        ("a", "b"),
        ("ab", ""),
        ("", "ab"),
        ("a:b", ""),
        ("1:a", "b"),
        ("2:ab", ""),
        ("a", None),
    ]
    keys = [key(parts, *pair) for pair in pairs]
    assert len(set(keys)) == len(keys)
    secret = key((Part("header", "x"),), "}{private\r\n\ud800" * 1000)
    assert secret.startswith("{default/team/one/")
    assert secret.isascii()
    assert len(secret) < 80
    assert "private" not in secret


@rows(
    ("stated", "amount"),
    [("500", 500), ("0", 60), ("-1", 60), ("1e3", 60), ("٣", 60), ("9" * 40, 60), ("", 60)],
)
def test_an_attribute_that_is_a_number_overrides_the_tokens(stated: str, amount: int) -> None:
    limit = limit_of(Rate(60, 60_000_000, 60), rate_from="tpm")
    request = ClientRequest("POST", "/", Headers([]), attributes={"tpm": stated})
    rate = limit.rate_for(request)
    assert rate is not None
    assert (rate.amount, rate.burst) == (amount, amount)


@rows(("reserve", "need"), [("auto", 130), ("max", 1100), ("none", 0)])
def test_what_is_reserved(reserve: Any, need: int) -> None:
    limit = limit_of(Rate(1, 1, 1), reserve=reserve)
    assert limit.need(Estimate(100, 30, 1000)) == need


def test_subsets_are_not_counted_twice() -> None:
    usage = Usage(100, 50, cache_read_tokens=30, cache_write_tokens=20, reasoning_tokens=40)
    assert Weights().used(usage) == 150
    assert Weights(0, 1000, 0, 0, 0).used(usage) == 30
    assert Weights(1000, 0, 0, 0, 0).used(usage) == 50
    assert Weights(0, 0, 0, 1000, 0).used(usage) == 10


@rows(
    ("time_us", "text"),
    [
        (-5, "0s"),
        (0, "0s"),
        (1, "1ms"),
        (12_000, "12ms"),
        (1_500_000, "1.5s"),
        (59_999_999, "1m0s"),
        (360_000_000, "6m0s"),
        (3_600_000_000, "1h0m0s"),
        (3_661_250_000, "1h1m1.25s"),
    ],
)
def test_times_are_written_as_openai_does(time_us: int, text: str) -> None:
    assert duration(time_us).decode() == text
