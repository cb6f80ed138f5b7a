"""A real model: llama.cpp's server answers clients of three dialects through the mesh.

The model has 135 million parameters and says what it likes, so nothing is asked of its words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.clouds.bench import Bench, bench
from tests.clouds.sdks import claude, gpt
from tests.llama.servers import LlamaServer, require_llama

pytestmark = pytest.mark.e2e

LIMIT = 8
HI: Any = [{"role": "user", "content": "Tell me about the sea, at length."}]
# What llama.cpp is asked in: chat for all clients, or each client's own dialect.
APIS = {"translated": ["chat"], "passed": ["chat", "responses", "messages"]}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    require_llama()
    with LlamaServer() as made:
        yield made.url


@pytest.fixture(scope="module", params=APIS)
def llama(request: pytest.FixtureRequest, server: str) -> Iterator[Bench]:
    config = {"openAIConfig": {"model": "smollm2", "apis": APIS[request.param]}}
    with bench(config, endpoint=server) as made:
        yield made


def test_a_client_of_chat_is_answered(llama: Bench) -> None:
    ask: Any = {"model": "any", "messages": HI, "max_tokens": LIMIT}
    whole = gpt(llama).chat.completions.create(**ask)
    assert whole.choices[0].message.content
    assert whole.choices[0].finish_reason == "length"
    assert whole.usage is not None
    assert whole.usage.completion_tokens == LIMIT
    chunks = list(
        gpt(llama).chat.completions.create(
            **ask, stream=True, stream_options={"include_usage": True}
        )
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert chunks[-1].usage.completion_tokens == LIMIT


def test_a_client_of_responses_is_answered(llama: Bench) -> None:
    ask: Any = {"model": "any", "input": HI, "max_output_tokens": LIMIT}
    whole = gpt(llama).responses.create(**ask)
    assert whole.output_text
    assert whole.usage is not None
    assert whole.usage.output_tokens == LIMIT
    events = list(gpt(llama).responses.create(**ask, stream=True))
    said = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(said) == events[-1].response.output_text
    assert events[-1].response.usage.output_tokens == LIMIT


def test_a_client_of_messages_is_answered(llama: Bench) -> None:
    ask: Any = {"model": "any", "messages": HI, "max_tokens": LIMIT}
    whole = claude(llama).messages.create(**ask)
    assert whole.content[0].type == "text"
    assert (whole.stop_reason, whole.usage.output_tokens) == ("max_tokens", LIMIT)
    with claude(llama).messages.stream(**ask) as stream:
        streamed = stream.get_final_message()
    assert streamed.content[0].type == "text"
    assert (streamed.stop_reason, streamed.usage.output_tokens) == ("max_tokens", LIMIT)
