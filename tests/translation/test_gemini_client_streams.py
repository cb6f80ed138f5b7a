"""Streams, errors and refusals as clients that speak Gemini are told them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from google.genai import errors, types

from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware._dialects import gemini
from llm_mesh_middleware.testing import Stream
from tests.rows import rows
from tests.translation import gemini_clients
from tests.translation.chat_shapes import DONE, USAGE, chunk
from tests.translation.gemini_clients import WORDS, client_of, generate, sdk
from tests.translation.worlds import CHAT, World, events

chat = gemini_clients.chat


def pieces(index: int, text: str, **more: Any) -> Any:
    function = {"arguments": text, **more.pop("function", {})}
    return chunk({"tool_calls": [{"index": index, "function": function, **more}]})


def test_a_stream_tells_interleaved_calls_whole(chat: World) -> None:
    chat.streams(
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "hm"}),
        chunk({"content": "Lo"}),
        pieces(0, "", id="a", function={"name": "one"}),
        pieces(1, '{"y":', id="b", function={"name": "two"}),
        pieces(0, '{"x":1}'),
        pieces(1, "2}"),
        chunk({}, "tool_calls"),
        chunk(usage=USAGE),
        DONE,
    )
    got = list(client_of(chat).models.generate_content_stream(model="m", contents="hi"))
    called = [one for event in got for one in event.function_calls or []]
    assert [(one.id, one.name, one.args) for one in called] == [
        ("a", "one", {"x": 1}),
        ("b", "two", {"y": 2}),
    ]
    assert "".join(event.text or "" for event in got) == "Lo"
    reasons = [(event.candidates or [types.Candidate()])[0].finish_reason for event in got]
    assert reasons[-1] is types.FinishReason.STOP
    assert set(reasons[:-1]) == {None}
    usage = got[-1].usage_metadata
    assert usage is not None
    assert usage.prompt_token_count == 10
    assert chat.asked()["stream"] is True


def test_a_stream_without_events_is_one_array(chat: World) -> None:
    chat.answers(WORDS)
    got = chat.post("/v1beta/models/m:streamGenerateContent", {"contents": [{"parts": []}]})
    assert got.headers["content-type"] == "application/json"
    (whole,) = got.json()
    assert whole["candidates"][0]["content"]["parts"] == [{"text": "Hello"}]
    assert "stream" not in chat.asked()


def test_a_stream_that_is_cut_off_is_an_error(chat: World) -> None:
    """The SDK does not close such a response, so it is given one that is read already."""
    chat.streams(chunk({"content": "Lo"}))
    got = chat.post("/v1beta/models/m:streamGenerateContent?alt=sse", {"contents": []}).content
    replay = httpx.MockTransport(lambda _: httpx.Response(200, content=got))
    with httpx.Client(transport=replay) as http:
        stream = sdk(http).models.generate_content_stream(model="m", contents="hi")
        with pytest.raises(errors.ServerError, match="too early"):
            list(stream)


@pytest.mark.parametrize(
    ("status", "expected", "word", "kind"),
    [
        (400, 400, "INVALID_ARGUMENT", errors.ClientError),
        (401, 401, "UNAUTHENTICATED", errors.ClientError),
        (403, 403, "PERMISSION_DENIED", errors.ClientError),
        (404, 404, "NOT_FOUND", errors.ClientError),
        (429, 429, "RESOURCE_EXHAUSTED", errors.ClientError),
        (500, 500, "INTERNAL", errors.ServerError),
        (503, 503, "UNAVAILABLE", errors.ServerError),
        (529, 503, "UNAVAILABLE", errors.ServerError),
    ],
)
def test_every_error_raises_its_class(
    chat: World, status: int, expected: int, word: str, kind: type[errors.APIError]
) -> None:
    error = {"error": {"message": "their words", "type": "x", "code": "c", "param": None}}
    chat.answers(error, status, [("retry-after", "7")])
    with pytest.raises(kind, match="their words") as raised:
        generate(chat)
    assert (raised.value.code, raised.value.status) == (expected, word)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"cachedContent": "cachedContents/1"}, "cachedContent"),
    ({"tools": [{"googleSearch": {}}]}, "tools[0]"),
    ({"contents": [{"parts": [{"executableCode": {"code": "1"}}]}]}, "contents[0].parts[0]"),
    ({"contents": [{"role": "tool", "parts": []}]}, "contents[0].role"),
    ({"generationConfig": {"responseModalities": ["AUDIO"]}}, "responseModalities"),
    ({"generationConfig": {"temperature": "hot"}}, "temperature"),
    ({"generationConfig": []}, "generationConfig"),
    ({"contents": "hi"}, "contents"),
]


@pytest.mark.parametrize(("asked", "named"), REFUSED)
def test_what_cannot_be_said_is_refused_by_name(
    chat: World, asked: dict[str, Any], named: str
) -> None:
    body = {"contents": [{"parts": [{"text": "hi"}]}]} | asked
    got = chat.post("/v1beta/models/m:generateContent", body)
    error = got.json()["error"]
    assert (got.status_code, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert named in error["message"]


def test_what_is_dropped_is_named(chat: World) -> None:
    chat.answers(WORDS)
    body = {
        "contents": [{"parts": [{"text": "hi"}]}],
        "safetySettings": [],
        "labels": {"a": "b"},
        "tools": [{"googleSearch": {}}, {"functionDeclarations": [{"name": "f"}]}],
        "generationConfig": {"topK": 3, "speechConfig": {}},
    }
    got = chat.post("/v1beta/models/m:generateContent", body)
    assert sorted(got.headers["x-llm-mesh-dropped"].split(", ")) == [
        "generationConfig.speechConfig",
        "generationConfig.topK",
        "safetySettings",
        "tools[0]",
    ]


def test_a_count_is_estimated(chat: World) -> None:
    got = client_of(chat).models.count_tokens(model="m", contents="x" * 3600)
    assert 1000 <= (got.total_tokens or 0) <= 1100
    whole = {"generateContentRequest": {"contents": [{"parts": [{"text": "x" * 3600}]}]}}
    raw = chat.post("/v1beta/models/m:countTokens", {"contents": []} | whole)
    assert raw.headers["x-llm-mesh-estimated"] == "totalTokens"
    assert raw.json()["totalTokens"] >= 1000


def test_models_are_listed_in_googles_form(world: Callable[..., World]) -> None:
    named = world(CHAT, modelMapping={"small": "gpt-4o-mini"})
    got = [model.name for model in client_of(named).models.list()]
    assert got == ["models/small"]
    assert client_of(named).models.get(model="small").name == "models/small"


@rows(("query", "expected"), [("alt=sse", True), ("a=b&alt=sse", True), ("", False)])
def test_only_events_can_be_kept_alive_by_comments(query: str, expected: bool) -> None:
    request = ClientRequest("POST", "/", Headers(()), query=query)
    assert gemini.STREAM.wants_stream(request) is expected


def test_a_stream_is_joined_where_the_provider_only_streams(world: Callable[..., World]) -> None:
    chat = world(CHAT, stream=True)
    chat.upstream.always(
        Stream(events(chunk({"content": "Lo"}), chunk({}, "stop"), chunk(usage=USAGE), DONE))
    )
    assert generate(chat).text == "Lo"
