"""Cache marks for Claude models, which take four."""

from __future__ import annotations

from typing import Any

import openai

from llm_mesh_middleware.testing import Answer
from tests.clouds.bench import HOST, bench
from tests.clouds.converse import answer, judged
from tests.rows import rows
from tests.translation.fields.forms import of_bedrock, of_claude, of_gemini
from tests.translation.fields.outcomes import check
from tests.translation.messages_shapes import message, text

CLAUDE = {"anthropicConfig": {"model": "m", "apiKey": "unused"}}
BEDROCK = {"bedrockConfig": {"region": "r", "model": "m", "apiKey": "unused"}}


def marked(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words, "prompt_cache_breakpoint": {"mode": "explicit"}}


@rows("ttl, kept", [(None, None), ("30m", "1h"), ("12h", "1h")])
def test_the_time_to_live_is_an_hour_at_most(ttl: str | None, kept: str | None) -> None:
    mark = {"mode": "explicit"} | ({"ttl": ttl} if ttl else {})
    said = [{"type": "text", "text": "Hi", "prompt_cache_breakpoint": mark}]
    members = {"messages": [{"role": "user", "content": said}]}
    told = {"ttl": kept} if kept else {}
    check("chat", "messages", members, of_claude({"cache_control": {"type": "ephemeral", **told}}))
    point = {"cachePoint": {"type": "default", **told}}
    check("chat", "bedrock", members, of_bedrock({"text": "Hi"}, point))
    check("chat", "gemini", members, of_gemini({"text": "Hi"}))


def asked(count: int) -> list[Any]:
    """Instructions, a result of a tool and turns of the user: so many texts with a mark each."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turns = [{"role": "user", "content": [marked(f"turn {i}")]} for i in range(count - 2)]
    return [
        {"role": "system", "content": [marked("system")]},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": [marked("result")]},
        *turns,
    ]


def marks(value: Any) -> int:
    """How many marks there are anywhere."""
    if isinstance(value, list):
        return sum(map(marks, value))
    if isinstance(value, dict):
        here = "cache_control" in value or "cachePoint" in value
        return here + sum(map(marks, value.values()))
    return 0


@rows("count, kept", [(2, 2), (4, 4), (5, 4), (9, 4)])
def test_the_last_four_are_sent_to_claude(count: int, kept: int) -> None:
    with bench(CLAUDE) as made:
        made.answer(Answer(body=message(text("Hi"))))
        gpt = openai.OpenAI(
            base_url=f"http://{HOST}/v1", api_key="none", max_retries=0, http_client=made.client
        )
        gpt.chat.completions.create(model="m", messages=asked(count))
        body = made.asked.json()
    assert marks(body) == kept
    assert marks(body.get("system")) == (count <= 4)
    assert marks(body["messages"][-1]["content"][-1]) == 1


@rows("count, kept", [(4, 4), (6, 4)])
def test_the_last_four_are_sent_to_bedrock(count: int, kept: int) -> None:
    with bench(BEDROCK) as made:
        made.answer(answer({"text": "Hi"}))
        gpt = openai.OpenAI(
            base_url=f"http://{HOST}/v1", api_key="none", max_retries=0, http_client=made.client
        )
        gpt.chat.completions.create(model="m", messages=asked(count))
        assert marks(judged(made.asked)) == kept
