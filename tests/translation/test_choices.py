"""Several choices and probabilities of tokens, where both dialects have them."""

from __future__ import annotations

import math
from typing import Any

import httpx
import openai
import pytest
from google import genai
from google.genai import types

from llm_mesh_httpx import MeshTransport
from llm_mesh_middleware.testing import Answer, Stream
from tests.canaries import canary
from tests.clouds.bench import HOST, Bench, bench
from tests.translation.worlds import events

KEY = canary("choices")
GEMINI = {"geminiConfig": {"model": "m", "apiKey": KEY}}
CHAT = {"openAIConfig": {"model": "m", "apiKey": KEY, "apis": ["chat"]}}
RESPONSES = {"openAIConfig": {"model": "m", "apiKey": KEY, "apis": ["responses"]}}
HI: Any = [{"role": "user", "content": "Hi"}]
CHOSEN = [{"token": "Grü", "logProbability": -0.1}, {"token": "ezi", "logProbability": -0.2}]
TOP = [
    {"candidates": [{"token": "Grü", "logProbability": -0.1}]},
    {"candidates": [{"token": "ezi", "logProbability": -0.2}, {"token": "ß", "tokenId": 7}]},
]
TOKENS = [
    {"token": "Grü", "logprob": -0.1, "bytes": [71, 114, 195, 188], "top_logprobs": []},
    {
        "token": "ezi",
        "logprob": -0.2,
        "bytes": [101, 122, 105],
        "top_logprobs": [{"token": "ezi", "logprob": -0.2, "bytes": [101, 122, 105]}],
    },
]


def candidate(index: int, text: str, **more: Any) -> dict[str, Any]:
    parts = [{"text": text}, {"functionCall": {"name": "f", "args": {}}}]
    content = {"role": "model", "parts": parts}
    return {"index": index, "content": content, "finishReason": "STOP", **more}


def generated(*candidates: Any) -> dict[str, Any]:
    return {"candidates": list(candidates), "modelVersion": "g", "responseId": "r"}


def gpt(made: Bench) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=f"http://{HOST}/v1", api_key="none", max_retries=0, http_client=made.client
    )


def test_each_candidate_of_gemini_is_a_choice() -> None:
    with bench(GEMINI) as made:
        made.answer(Answer(body=generated(candidate(0, "a"), candidate(1, "b"))))
        got = gpt(made).chat.completions.create(model="m", messages=HI, n=2)
        assert made.asked.json()["generationConfig"] == {"candidateCount": 2}
    assert [choice.index for choice in got.choices] == [0, 1]
    assert [choice.message.content for choice in got.choices] == ["a", "b"]
    ids = [call.id for choice in got.choices for call in choice.message.tool_calls or ()]
    assert len(set(ids)) == 2


def test_each_candidate_of_gemini_is_a_choice_of_a_stream() -> None:
    with bench(GEMINI) as made:
        made.answer(Answer(body=generated(candidate(0, "a"), candidate(1, "b"))))
        chunks = gpt(made).chat.completions.create(
            model="m", messages=HI, n=2, stream=True, stream_options={"include_usage": True}
        )
        told: dict[int, str] = {0: "", 1: ""}
        ends: dict[int, str | None] = {}
        for chunk in chunks:
            for choice in chunk.choices:
                told[choice.index] += choice.delta.content or ""
                ends[choice.index] = choice.finish_reason or ends.get(choice.index)
        assert made.asked.path.endswith(":generateContent")
    assert told == {0: "a", 1: "b"}
    assert ends == {0: "tool_calls", 1: "tool_calls"}


def test_each_choice_is_a_candidate_of_a_stream() -> None:
    choices = [
        {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        for i, text in enumerate("ab")
    ]
    with bench(CHAT) as made, httpx.Client(transport=MeshTransport(made.mesh)) as http:
        made.answer(Answer(body={"id": "c", "object": "chat.completion", "choices": choices}))
        options = types.HttpOptions(base_url=f"http://{HOST}", httpx_client=http)
        events = genai.Client(api_key="none", http_options=options).models.generate_content_stream(
            model="m", contents="Hi", config=types.GenerateContentConfig(candidate_count=2)
        )
        (event,) = events
        assert "stream" not in made.asked.json()
    assert [one.content.parts[0].text for one in event.candidates] == ["a", "b"]  # type: ignore


def test_several_choices_are_refused_where_the_provider_must_stream() -> None:
    config = {"geminiConfig": {"model": "m", "apiKey": KEY, "stream": True}}
    with bench(config) as made, pytest.raises(openai.BadRequestError, match="to stream") as refused:
        gpt(made).chat.completions.create(model="m", messages=HI, n=2)
    assert refused.value.param == "n"


def test_each_choice_is_a_candidate_for_a_client_of_gemini() -> None:
    choices = [
        {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        for i, text in enumerate("ab")
    ]
    with bench(CHAT) as made, httpx.Client(transport=MeshTransport(made.mesh)) as http:
        made.answer(Answer(body={"id": "c", "object": "chat.completion", "choices": choices}))
        options = types.HttpOptions(base_url=f"http://{HOST}", httpx_client=http)
        got = genai.Client(api_key="none", http_options=options).models.generate_content(
            model="m", contents="Hi", config=types.GenerateContentConfig(candidate_count=2)
        )
        assert made.asked.json()["n"] == 2
    assert [one.content.parts[0].text for one in got.candidates] == ["a", "b"]  # type: ignore


@pytest.mark.parametrize("streams", [False, True])
def test_tokens_of_gemini_are_told_to_clients_of_chat(streams: bool) -> None:
    result = {"logprobsResult": {"chosenCandidates": CHOSEN, "topCandidates": TOP}}
    body = generated(candidate(0, "Grüezi", **result))
    ask: Any = {"model": "m", "messages": HI, "logprobs": True, "top_logprobs": 2}
    with bench(GEMINI) as made:
        made.answer(Stream(events(body)) if streams else Answer(body=body))
        if streams:
            with gpt(made).chat.completions.stream(**ask) as stream:
                got = stream.get_final_completion()
        else:
            got = gpt(made).chat.completions.create(**ask)
        asked = made.asked.json()["generationConfig"]
    assert (asked["responseLogprobs"], asked["logprobs"]) == (True, 2)
    told = got.choices[0].logprobs
    assert told is not None
    assert told.content is not None
    assert [token.token for token in told.content] == ["Grü", "ezi"]
    assert math.isclose(told.content[1].logprob, -0.2)
    assert [top.token for top in told.content[1].top_logprobs] == ["ezi", "ß"]
    assert got.choices[0].message.content == "Grüezi"


@pytest.mark.parametrize("streams", [False, True])
def test_tokens_of_chat_are_told_to_clients_of_responses(streams: bool) -> None:
    logprobs = {"content": TOKENS, "refusal": None}
    message = {"role": "assistant", "content": "Grüezi"}
    choice = {"index": 0, "message": message, "logprobs": logprobs, "finish_reason": "stop"}
    piece = {"index": 0, "delta": message, "logprobs": logprobs, "finish_reason": "stop"}
    whole = {"id": "c", "object": "chat.completion", "choices": [choice]}
    chunk = {"id": "c", "object": "chat.completion.chunk", "choices": [piece]}
    ask: Any = {"model": "m", "input": "Hi", "top_logprobs": 2}
    with bench(CHAT) as made:
        made.answer(Stream(events(chunk, b"data: [DONE]\n\n")) if streams else Answer(body=whole))
        if streams:
            with gpt(made).responses.stream(**ask) as stream:
                got: Any = stream.get_final_response()
        else:
            got = gpt(made).responses.create(**ask)
    told = got.output[0].content[0].logprobs
    assert [token.model_dump() for token in told] == TOKENS


def test_tokens_of_responses_are_told_to_clients_of_chat() -> None:
    part = {"type": "output_text", "text": "Grüezi", "annotations": [], "logprobs": TOKENS}
    item = {"type": "message", "id": "m", "role": "assistant", "content": [part]}
    body = {"id": "r", "object": "response", "status": "completed", "output": [item]}
    with bench(RESPONSES) as made:
        made.answer(Answer(body=body))
        got = gpt(made).chat.completions.create(
            model="m", messages=HI, logprobs=True, top_logprobs=2
        )
        asked = made.asked.json()
    assert (asked["top_logprobs"], asked["include"]) == (2, ["message.output_text.logprobs"])
    assert got.choices[0].logprobs is not None
    assert [token.model_dump() for token in got.choices[0].logprobs.content or ()] == TOKENS
