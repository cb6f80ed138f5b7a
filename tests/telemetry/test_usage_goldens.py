"""Token counts as each provider writes them, brought to one meaning: answers and what they count.

A file has the answer of one provider, whole or in events, and the counts expected of it. `input`
includes what was read from a cache, `output` what was spent on reasoning.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llm_mesh_middleware.testing import Answer, FakeUpstream, Stream
from tests.telemetry.recording import CHAT, Recorder, calling, make_mesh

GOLDENS = {
    file.stem: json.loads(file.read_text())
    for file in sorted((Path(__file__).parent / "usage_golden").glob("*.json"))
}
_SPAN = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cache_read_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_tokens": "gen_ai.usage.cache_write.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
}
_COUNTERS = {
    name: attribute.replace("gen_ai.", "gen_ai.client.inference.", 1)
    for name, attribute in _SPAN.items()
}


def scripted(golden: dict[str, Any]) -> Answer | Stream:
    if "body" in golden:
        return Answer(200, [], golden["body"])
    events = [b"data: %s\n\n" % json.dumps(event).encode() for event in golden["events"]]
    return Stream([*events, b"data: [DONE]\n\n"] if golden["ends_with_done"] else events)


@pytest.mark.parametrize("golden", GOLDENS.values(), ids=GOLDENS)
async def test_the_counts_of_a_provider_are_read(
    recorder: Recorder, upstream: FakeUpstream, golden: dict[str, Any]
) -> None:
    expected = golden["expected"]
    upstream.script(scripted(golden))
    body = {**CHAT, "input": "Good morning", "stream": "events" in golden}
    config = {"apis": ["chat", "completions", "embeddings", "responses", "messages"]}
    async with calling(make_mesh(recorder, upstream, config=config)) as client:
        assert (await client.post(golden["path"], json=body)).status_code == 200
    told = {name: recorder.call.attributes.get(_SPAN[name], 0) for name in expected}
    counted = {name: recorder.total(_COUNTERS[name]) for name in expected}
    assert told == expected
    assert counted == expected
    assert expected["cache_read_tokens"] <= expected["input_tokens"]
    assert expected["reasoning_tokens"] <= expected["output_tokens"]
    assert recorder.total("asm_llm_proxy_prompt_tokens") == expected["input_tokens"]
    assert recorder.total("asm_llm_proxy_completion_tokens") == expected["output_tokens"]


def test_every_dialect_has_a_golden_of_both_forms() -> None:
    dialects = (
        "openai", "openai_responses", "azure", "dashscope", "moonshot", "deepseek",
        "anthropic_compatible", "anthropic_messages", "gemini_compatible", "vllm", "llama_cpp",
    )  # fmt: skip
    assert {form for name in dialects for form in (name, f"{name}_stream")} <= set(GOLDENS)
