"""Images that models make: whole answers before every client, and what is told of lost ones."""

from __future__ import annotations

import json
import logging
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import openai
import pytest
from anthropic.types import Message
from google import genai
from google.genai import types
from google.genai.types import GenerateContentResponse
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from llm_mesh_httpx import MeshTransport
from llm_mesh_middleware._core.conversation.writing import Stamp
from llm_mesh_middleware._dialects.translation.whole import Accumulator
from llm_mesh_middleware.testing import Answer, Stream
from tests.clouds.bench import HOST, bench
from tests.rows import rows
from tests.translation.dialect_table import CLIENTS, DIALECTS, PROVIDERS, relay
from tests.translation.fields.of_images import STAND_IN
from tests.translation.odd_streams import GIF, PNG, content, image, pixels
from tests.translation.spoken.rows import Part
from tests.translation.worlds import events

STAMP = Stamp(1, "token", "m")
DATA = PNG.rpartition(",")[2]


def first(body: dict[str, Any], member: str, **more: Any) -> dict[str, Any]:
    return body | {member: [body[member][0] | more]}


def of_gemini(*parts: Any) -> dict[str, Any]:
    said = {"role": "model", "parts": [{"text": "a"}, *parts]}
    return first(PROVIDERS["gemini"].write(Part()), "candidates", content=said)


SAID = {name: provider.write(Part("a")) for name, provider in PROVIDERS.items()}
DRAWN: dict[str, Any] = {"type": "image_generation_call", "id": "i", "status": "completed"}
SOUND = {"id": "x", "data": "AAAA", "transcript": "a", "expires_at": 1}
BLOCKED = {"image": {"format": "png", "error": {"message": "no"}}}
# A provider's answer, its images, and what is lost of it for every client.
WHOLE: Mapping[tuple[str, str], tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]] = {
    ("chat", "images"): (
        first(
            SAID["chat"],
            "choices",
            message={"role": "assistant", "content": "a", "images": [image(PNG), image(GIF)]},
        ),
        (PNG, GIF),
        (),
    ),
    ("chat", "an image among parts"): (
        first(
            SAID["chat"],
            "choices",
            message={"role": "assistant", "content": [{"type": "text", "text": "a"}, image(PNG)]},
        ),
        (PNG,),
        (),
    ),
    ("chat", "sound"): (
        first(SAID["chat"], "choices", message={"role": "assistant", "audio": SOUND}),
        (),
        ("response.audio",),
    ),
    ("gemini", "images, a draft, code and sound"): (
        of_gemini(
            *(pixels(PNG) | {"thought": True}, pixels(PNG), pixels(GIF)),
            *({"executableCode": {"code": "1"}}, pixels("data:audio/wav;base64,AAAA")),
        ),
        (PNG, GIF),
        ("response.draft", "response.code", "response.audio"),
    ),
    ("responses", "images, a failed one and a search"): (
        SAID["responses"]
        | {
            "output": [
                *(*SAID["responses"]["output"], DRAWN | {"result": DATA}),
                *(DRAWN | {"status": "failed"}, {"type": "web_search_call", "id": "w"}),
            ]
        },
        (PNG,),
        ("response.image_generation_call", "response.web_search_call"),
    ),
    ("bedrock", "images"): (
        SAID["bedrock"]
        | {
            "output": {
                "message": {
                    "role": "assistant",
                    "content": [
                        *({"text": "a"}, BLOCKED),
                        {"image": {"format": "png", "source": {"bytes": DATA}}},
                    ],
                }
            }
        },
        (PNG,),
        ("response.image",),
    ),
    ("messages", "a search"): (
        SAID["messages"]
        | {
            "content": [
                {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
                {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
                *({"type": "tomorrow"}, *SAID["messages"]["content"]),
            ]
        },
        (),
        ("response.server_tool_use", "response.web_search_tool_result", "response.block"),
    ),
}


def _chat(body: bytes) -> tuple[str | None, list[str]]:
    message = ChatCompletion.model_validate_json(body).choices[0].message
    images: list[Any] = getattr(message, "images", [])
    return message.content, [one["image_url"]["url"] for one in images]


def _responses(body: bytes) -> tuple[str | None, list[str]]:
    got = Response.model_validate_json(body)
    made = [item for item in got.output if item.type == "image_generation_call"]
    return got.output_text, [f"data:image/{i.output_format};base64,{i.result}" for i in made]


def _messages(body: bytes) -> tuple[str | None, list[str]]:
    (block,) = Message.model_validate_json(body).content
    assert block.type == "text"
    return block.text, []


def _gemini(body: bytes) -> tuple[str | None, list[str]]:
    got = GenerateContentResponse.model_validate_json(body)
    blobs = [part.inline_data for part in got.parts or () if part.inline_data]
    urls = [f"data:{b.mime_type};base64,{b64encode(b.data or b'').decode()}" for b in blobs]
    return "".join(part.text or "" for part in got.parts or ()), urls


JUDGES: Mapping[str, Callable[[bytes], tuple[str | None, list[str]]]] = {
    "chat": _chat,
    "responses": _responses,
    "messages": _messages,
    "gemini": _gemini,
}
PAIRS = [(client, *row) for client in CLIENTS for row in WHOLE if client != row[0]]


@rows("client, provider, name", PAIRS)
def test_every_client_gets_the_images_of_a_whole_answer(
    client: str, provider: str, name: str
) -> None:
    body, images, lost = WHOLE[provider, name]
    answer = DIALECTS[provider].side.read_answer(json.dumps(body).encode(), STAMP)
    assert answer.lost == lost
    speaks = DIALECTS[client]
    written = speaks.side.write_answer(answer, speaks.side.read_request(speaks.request), STAMP)
    assert JUDGES[client](written) == ("a", [] if client == "messages" else [*images])


ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Draw"}]}


@pytest.mark.parametrize("streams", [False, True])
def test_a_client_of_messages_is_told_of_an_image_that_it_cannot_get(
    streams: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A stream's head has gone by then, so only the log and telemetry can tell."""
    caplog.set_level(logging.DEBUG, "llm_mesh_middleware")
    body, _, _ = WHOLE["gemini", "images, a draft, code and sound"]
    given = events(content({"text": "a"}, pixels(PNG), pixels(PNG), finish="STOP"))
    with bench(PROVIDERS["gemini"].config) as made:
        made.answer(Stream(given) if streams else Answer(body=body))
        got = made.client.post(
            f"http://{HOST}/v1/messages",
            json={**ASK, "max_tokens": 9, "top_k": 3, "stream": streams, "context": 1},
        )
    assert got.status_code == 200
    lost = "response.draft, response.code, response.audio, response.image"
    named = "context" if streams else f"context, {lost}"
    assert got.headers["x-llm-mesh-dropped"] == named
    logged = [record.getMessage() for record in caplog.records if "no place" in record.message]
    assert [line.rpartition(": ")[2] for line in logged] == [
        "context",
        "response.image" if streams else lost,
    ]


@rows("client", [client for client in CLIENTS if client != "responses"])
def test_drafts_of_an_image_are_told_or_named(client: str) -> None:
    drawn = {"type": "response.output_item.done", "item": DRAWN | {"result": DATA}}
    draft = {"type": "response.image_generation_call.partial_image", "partial_image_b64": "AAAA"}
    ended = {"type": "response.completed", "response": {"status": "completed"}}
    given = b"".join(events(draft, draft, drawn, ended))
    one = relay(client, "responses")
    passed = one.feed(given) + one.finish()
    assert passed.count(b"AAAA") == (2 if client == "gemini" else 0)
    named = ("response.draft",) if client != "gemini" else ()
    assert one.summary.dropped == named + (("response.image",) if client == "messages" else ())
    collected = Accumulator()
    collected.add(DIALECTS["responses"].side.event_reader(STAMP).feed(given))
    assert collected.answer.lost == ("response.draft",)


def test_a_client_of_gemini_sees_an_image_grow_among_the_thoughts() -> None:
    """As Google's own models show what they have drawn on the way."""
    draft = {"type": "response.image_generation_call.partial_image", "partial_image_b64": "AAAA"}
    drawn = {"type": "response.output_item.done", "item": DRAWN | {"result": DATA}}
    ended = {"type": "response.completed", "response": {"status": "completed"}}
    with (
        bench(PROVIDERS["responses"].config) as made,
        httpx.Client(transport=MeshTransport(made.mesh)) as http,
    ):
        options = types.HttpOptions(base_url=f"http://{HOST}", httpx_client=http)
        chat = genai.Client(api_key="none", http_options=options).chats.create(model="m")
        made.answer(Stream(events(draft, drawn, ended)))
        parts = [part for event in chat.send_message_stream("Draw") for part in event.parts or ()]
        shown = [(part.thought, part.inline_data.data) for part in parts if part.inline_data]
        assert shown == [(True, b64decode("AAAA")), (None, b64decode(DATA))]
        made.answer(Answer(body=SAID["responses"]))
        chat.send_message("Bluer")
        asked = PROVIDERS["responses"].judge(made.asked)["input"]
    assert [item.get("result") for item in asked] == [None, DATA, None]


@pytest.mark.parametrize("streams", [False, True])
def test_sources_that_messages_have_no_place_for_are_named(
    streams: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "llm_mesh_middleware")
    cited = {"citationMetadata": {"citationSources": [{"uri": "https://x.example/"}]}}
    body = first(of_gemini(), "candidates", **cited)
    with bench(PROVIDERS["gemini"].config) as made:
        made.answer(Stream(events(body)) if streams else Answer(body=body))
        asked = {**ASK, "max_tokens": 9, "stream": streams}
        got = made.client.post(f"http://{HOST}/v1/messages", json=asked)
    named = None if streams else "response.citations"
    assert got.headers.get("x-llm-mesh-dropped") == named
    assert "no place for: response.citations" in caplog.text


def test_a_whole_answer_that_becomes_a_stream_names_what_is_lost_in_its_head() -> None:
    body, _, _ = WHOLE["gemini", "images, a draft, code and sound"]
    with bench(PROVIDERS["gemini"].config) as made:
        made.answer(Answer(body=body))
        got = made.client.post(f"http://{HOST}/v1/chat/completions", json=ASK | {"stream": True})
    assert got.headers["x-llm-mesh-dropped"] == "response.draft, response.code, response.audio"
    assert got.text.count('"images"') == 2


def _again(first: Any, ask: str) -> list[Any]:
    return [*ASK["messages"], first.model_dump(exclude_none=True), {"role": "user", "content": ask}]


@pytest.mark.parametrize("streams", [False, True])
def test_a_second_turn_of_chat_has_the_image_with_its_signature(streams: bool) -> None:
    signed = pixels(PNG) | {"thoughtSignature": "c2ln"}
    with bench(PROVIDERS["gemini"].config) as made:
        sdk = openai.OpenAI(
            base_url=f"http://{HOST}/v1", api_key="none", max_retries=0, http_client=made.client
        ).chat.completions
        if streams:
            made.answer(Stream(events(content(pixels(GIF)), content(signed, finish="STOP"))))
            with sdk.stream(**ASK, modalities=["image", "text"]) as stream:  # type: ignore[list-item]
                stream.until_done()
                message: Any = stream.get_final_completion().choices[0].message
        else:
            made.answer(Answer(body=of_gemini(pixels(GIF), signed)))
            message = sdk.create(**ASK, modalities=["image", "text"]).choices[0].message  # type: ignore[list-item]
        assert made.asked.json()["generationConfig"]["responseModalities"] == ["IMAGE", "TEXT"]
        assert [one["image_url"]["url"] for one in message.images] == [GIF, PNG]
        made.answer(Answer(body=of_gemini()))
        sdk.create(model="m", messages=_again(message, "Bluer"))
        _, model, _ = PROVIDERS["gemini"].judge(made.asked)["contents"]
    first, second = [part for part in model["parts"] if "inlineData" in part]
    assert first.pop("thoughtSignature") == STAND_IN
    assert (first, second) == (pixels(GIF), signed)


def test_a_second_turn_of_responses_has_the_image_with_its_signature() -> None:
    signed = pixels(PNG) | {"thoughtSignature": "c2ln"}
    with bench(PROVIDERS["gemini"].config) as made:
        sdk = openai.OpenAI(
            base_url=f"http://{HOST}/v1", api_key="none", max_retries=0, http_client=made.client
        ).responses
        made.answer(Answer(body=of_gemini(signed)))
        got = sdk.create(model="m", input="Draw", store=False)
        output: list[Any] = [item.model_dump(exclude_none=True) for item in got.output]
        made.answer(Answer(body=of_gemini()))
        sdk.create(model="m", input=[*output, {"role": "user", "content": "Bluer"}], store=False)
        model, _ = PROVIDERS["gemini"].judge(made.asked)["contents"]
    assert model["parts"][-1] == signed


def test_a_second_turn_of_gemini_has_the_image_for_responses() -> None:
    with (
        bench(PROVIDERS["responses"].config) as made,
        httpx.Client(transport=MeshTransport(made.mesh)) as http,
    ):
        options = types.HttpOptions(base_url=f"http://{HOST}", httpx_client=http)
        chat = genai.Client(api_key="none", http_options=options).chats.create(model="m")
        made.answer(Answer(body=WHOLE["responses", "images, a failed one and a search"][0]))
        drawn = chat.send_message("Draw")
        assert [part.inline_data.mime_type for part in drawn.parts or () if part.inline_data]
        made.answer(Answer(body=SAID["responses"]))
        assert chat.send_message("Bluer").text == "a"
        (item,) = [
            item
            for item in PROVIDERS["responses"].judge(made.asked)["input"]
            if item.get("type") == "image_generation_call"
        ]
    assert (item["result"], item["output_format"]) == (DATA, "png")


def _of(modality: str, count: int) -> dict[str, Any]:
    return {"modality": modality, "tokenCount": count}


COUNTED = {
    "promptTokenCount": 500,
    "candidatesTokenCount": 1300,
    "totalTokenCount": 1800,
    "promptTokensDetails": [_of("TEXT", 242), _of("IMAGE", 258)],
    "candidatesTokensDetails": [_of("IMAGE", 1290)],
}
IN_CHAT = {"image_tokens": 258, "text_tokens": 242}, {"image_tokens": 1290}


@pytest.mark.parametrize("streams", [False, True])
def test_tokens_of_images_are_told_to_clients_of_chat(streams: bool) -> None:
    options = {"include_usage": True}
    with bench(PROVIDERS["gemini"].config) as made:
        body = of_gemini(pixels(PNG)) | {"usageMetadata": COUNTED}
        made.answer(Stream(events(body)) if streams else Answer(body=body))
        got = made.client.post(
            f"http://{HOST}/v1/chat/completions",
            json=ASK | ({"stream": True, "stream_options": options} if streams else {}),
        )
    last = got.text.split("data: ")[-2] if streams else got.text
    usage = json.loads(last)["usage"]
    assert usage["prompt_tokens_details"] == {"cached_tokens": 0, **IN_CHAT[0]}
    assert usage["completion_tokens_details"] == {"reasoning_tokens": 0, **IN_CHAT[1]}


def test_tokens_of_images_are_told_to_clients_of_gemini() -> None:
    usage = {
        "prompt_tokens": 500,
        "completion_tokens": 1300,
        "prompt_tokens_details": IN_CHAT[0],
        "completion_tokens_details": IN_CHAT[1],
    }
    spoken = DIALECTS["gemini"]
    body = json.dumps(SAID["chat"] | {"usage": usage}).encode()
    answer = DIALECTS["chat"].side.read_answer(body, STAMP)
    written = spoken.side.write_answer(answer, spoken.side.read_request(spoken.request), STAMP)
    assert json.loads(written)["usageMetadata"] == COUNTED


@pytest.mark.parametrize("path", ["messages", "chat/completions"])
def test_a_stream_that_becomes_a_whole_answer_has_or_names_the_image(path: str) -> None:
    config = dict(PROVIDERS["gemini"].config["geminiConfig"]) | {"stream": True}
    with bench({"geminiConfig": config}) as made:
        made.answer(Stream(events(content({"text": "a"}, pixels(PNG), finish="STOP"))))
        got = made.client.post(f"http://{HOST}/v1/{path}", json=ASK | {"max_tokens": 9})
    if path == "messages":
        assert got.headers["x-llm-mesh-dropped"] == "response.image"
        assert [block["text"] for block in got.json()["content"]] == ["a"]
    else:
        (drawn,) = got.json()["choices"][0]["message"]["images"]
        assert drawn["image_url"]["url"] == PNG
