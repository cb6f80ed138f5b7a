"""Odd streams that providers send, and what every client's SDK must read of them.

An answer that is a text is the error that must be told instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.clouds import frames
from tests.translation.chat_shapes import DONE, USAGE, chunk
from tests.translation.messages_shapes import block, end, start, text, use, words
from tests.translation.reading import Read
from tests.translation.spoken.ollama import COUNTED, called, line
from tests.translation.worlds import events

__all__ = ["ODD"]

ROLE = chunk({"role": "assistant", "content": ""})
CUT_SHORT = "ended its stream too early"
PNG, GIF = "data:image/png;base64,iVBORw0KGgo=", "data:image/gif;base64,R0lGODlh"
ONE, TWO = ("one", {"x": 1}), ("two", {"y": 2})


def call(index: int | None, arguments: str | None, **more: Any) -> Any:
    function = more.pop("function", {}) | ({} if arguments is None else {"arguments": arguments})
    place = {} if index is None else {"index": index}
    return chunk({"tool_calls": [{**place, "function": function, **more}]})


def begun(index: int, id: str, name: str, arguments: str | None = "") -> Any:
    return call(index, arguments, id=id, type="function", function={"name": name})


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


CHAT: dict[str, tuple[list[Any], Read | str]] = {
    "deltas of nothing": (
        [
            *(ROLE, chunk({}), chunk({"content": None}), chunk({"content": ""})),
            *(chunk({"content": "a"}), chunk({"role": "assistant", "content": "b"})),
            *(chunk({}, "stop"), DONE),
        ],
        Read("ab"),
    ),
    "calls without arguments": (
        [ROLE, begun(0, "a", "one", None), begun(1, "b", "two"), chunk({}, "tool_calls"), DONE],
        Read(calls=(("one", {}), ("two", {})), finish="tool_calls"),
    ),
    "interleaved calls, with a text between their pieces": (
        [
            *(ROLE, begun(0, "a", "one"), begun(1, "b", "two"), call(1, '{"y":')),
            *(call(0, '{"x":'), chunk({"content": "t"}), call(1, "2}"), call(0, "1}")),
            *(chunk({}, "stop"), DONE),
        ],
        Read("t", calls=(ONE, TWO), finish="tool_calls"),
    ),
    "a thought after a text, and after a call": (
        [
            *(ROLE, chunk({"content": "a"}), chunk({"reasoning_content": "h"})),
            *(chunk({"content": "b"}), begun(0, "a", "one", '{"x":1}')),
            *(chunk({"reasoning_content": "m"}), chunk({}, "tool_calls"), DONE),
        ],
        Read("ab", "hm", (ONE,), "tool_calls"),
    ),
    "a pair of escapes in two events": (
        [
            *(ROLE, b'data: {"choices":[{"index":0,"delta":{"content":"a\\ud83d"}}]}\n\n'),
            *(b'data: {"choices":[{"index":0,"delta":{"content":"\\ude00b"}}]}\n\n',),
            *(chunk({}, "stop"), DONE),
        ],
        Read("a😀b"),
    ),
    "separators of lines in a text": (
        [ROLE, chunk({"content": "a\u2028b\u0085c\x0b\r\n"}), chunk({}, "stop"), DONE],
        Read("a\u2028b\u0085c\x0b\r\n"),
    ),
    "usage on every chunk, and a last one": (
        [
            *(ROLE, chunk({"content": "a"}, usage=USAGE | {"completion_tokens": 1})),
            *(chunk({}, "stop", usage=USAGE), chunk(usage=USAGE), DONE),
        ],
        Read("a", usage=(10, 7)),
    ),
    "all in one chunk, without an end mark": ([chunk({"content": "a"}, "stop")], Read("a")),
    "an end mark without a reason": ([ROLE, chunk({"content": "a"}), DONE], CUT_SHORT),
    "an error as a text": ([ROLE, chunk({"content": "a"}), {"error": "boom"}], "boom"),
    "a named error": (
        [ROLE, chunk({"content": "a"}), b'event: error\ndata: {"message": "boom"}\n\n'],
        "boom",
    ),
    "images beside a text, and in a list of parts": (
        [
            *(ROLE, chunk({"content": "a", "images": [image(PNG), image(GIF)]})),
            *(chunk({"content": [{"type": "text", "text": "b"}, image(PNG)]}), chunk({}, "stop")),
            DONE,
        ],
        Read("ab", images=(PNG, GIF, PNG)),
    ),
    "sound with its transcript": (
        [
            *(ROLE, chunk({"audio": {"id": "x", "transcript": "a"}})),
            *(chunk({"audio": {"data": "AAAA"}}), chunk({"audio": {"expires_at": 1}})),
            *(chunk({}, "stop"), DONE),
        ],
        Read("a"),
    ),
    "what is not JSON": ([ROLE, chunk({"content": "a"}), b"data: {oops\n\n"], "is not JSON"),
}


def thinks(index: int, words: str) -> list[Any]:
    thinking = {"type": "thinking", "thinking": "", "signature": ""}
    signed = {"type": "signature_delta", "signature": "s"}
    return block(index, thinking, {"type": "thinking_delta", "thinking": words}, signed)


def uses(index: int, name: str, *pieces: str, **input: Any) -> list[Any]:
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    return block(index, use(f"id{index}", name, input), *deltas)


REFUSED = {
    "stop_reason": "refusal",
    "stop_details": {"type": "refusal", "category": "bio", "explanation": "No."},
}
MESSAGES: dict[str, tuple[list[Any], Read | str]] = {
    "every kind of block, twice": (
        [
            *(start(), *thinks(0, "h"), *block(1, text(""), *words("a")), *uses(2, "one", x=1)),
            *(*block(3, text("b")), *thinks(4, "m"), *uses(5, "two", "", '{"y', '":2}')),
            *end("tool_use"),
        ],
        Read("ab", "hm", (ONE, TWO), "tool_calls", (6, 7)),
    ),
    "empty texts": (
        [start(), *block(0, text("")), *block(1, text(""), *words("", "a")), *end()],
        Read("a", usage=(6, 7)),
    ),
    "blocks of a server's tool, and events of tomorrow": (
        [
            *(start(), {"type": "ping"}, {"type": "tomorrow", "x": 1}),
            *block(0, {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}),
            *block(1, {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}),
            *(*block(2, text(""), *words("a")), *end()),
        ],
        Read("a", usage=(6, 7)),
    ),
    "the limit of tokens": (
        [start(), *block(0, text(""), *words("a")), *end("max_tokens")],
        Read("a", finish="length", usage=(6, 7)),
    ),
    "no counts at the end": (
        [start(), *block(0, text("a")), {**end()[0], "usage": None}, end()[1]],
        Read("a", usage=(6, 1)),
    ),
    "a refusal that is explained": (
        [
            *(start(), *block(0, text(""), *words("a"))),
            {"type": "message_delta", "delta": REFUSED, "usage": {"output_tokens": 7}},
            {"type": "message_stop"},
        ],
        Read("aNo.", finish="content_filter", usage=(6, 7)),
    ),
    "an end without a reason": ([start(), *block(0, text("a")), end()[1]], CUT_SHORT),
    "an error in a block": (
        [
            *(start(), *block(0, text(""), *words("a"))[:-1]),
            {"type": "error", "error": {"type": "overloaded_error", "message": "boom"}},
        ],
        "boom",
    ),
}


def content(*parts: Any, **more: Any) -> Any:
    finish = {"finishReason": more.pop("finish")} if "finish" in more else {}
    return {"candidates": [{"content": {"role": "model", "parts": parts}, **finish}], **more}


def function(name: str, **args: Any) -> Any:
    return {"functionCall": {"name": name, **args}}


def pixels(url: str) -> dict[str, Any]:
    media_type, _, data = url.removeprefix("data:").partition(";base64,")
    return {"inlineData": {"mimeType": media_type, "data": data}}


GEMINI: dict[str, tuple[list[Any], Read | str]] = {
    "all in one event": (
        [
            content(
                *({"text": "hm", "thought": True}, {"text": "a"}, function("one", args={"x": 1})),
                *({"text": "b"}, function("two", args={"y": 2})),
                finish="STOP",
            )
        ],
        Read("ab", "hm", (ONE, TWO), "tool_calls"),
    ),
    "calls without arguments": (
        [content(function("one")), content(function("two", args=None), finish="STOP")],
        Read(calls=(("one", {}), ("two", {})), finish="tool_calls"),
    ),
    "calls of one name": (
        [content(function("one", args={"x": n}), finish="STOP") for n in (1, 2)],
        Read(calls=(("one", {"x": 1}), ("one", {"x": 2})), finish="tool_calls"),
    ),
    "a reason without content, then counts": (
        [
            *(content({"text": "a"}), {"candidates": [{"finishReason": "MAX_TOKENS"}]}),
            {"usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 7}},
        ],
        Read("a", finish="length", usage=(5, 7)),
    ),
    "images among texts, a draft of one, and sound": (
        [
            *(content(pixels(PNG) | {"thought": True}), content({"text": "a"}, pixels(PNG))),
            *(content({"text": "b"}), content(pixels("data:audio/wav;base64,AAAA"))),
            content(pixels(GIF) | {"thoughtSignature": "c2ln"}, finish="STOP"),
        ],
        Read("ab", images=(PNG, GIF)),
    ),
    "code that has run at the provider": (
        [
            content({"executableCode": {"language": "PYTHON", "code": "1"}}),
            content({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}),
            content({"text": "a"}, finish="STOP"),
        ],
        Read("a"),
    ),
    "a blocked prompt": (
        [{"promptFeedback": {"blockReason": "SAFETY"}}],
        Read(finish="content_filter"),
    ),
    "a refusal that is explained": (
        [
            content({"text": "a"}),
            {"candidates": [{"finishReason": "SAFETY", "finishMessage": "No."}]},
        ],
        Read("aNo.", finish="content_filter"),
    ),
    "a blocked prompt, explained": (
        [{"promptFeedback": {"blockReason": "SAFETY", "blockReasonMessage": "No."}}],
        Read("No.", finish="content_filter"),
    ),
    "a malformed call after a text": (
        [content({"text": "a"}), {"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]}],
        "MALFORMED_FUNCTION_CALL",
    ),
}


def frame(kind: str, index: int = 0, **members: Any) -> bytes:
    return frames.event(kind, {"contentBlockIndex": index, **members})


def input_of(index: int, piece: str) -> bytes:
    return frame("contentBlockDelta", index, delta={"toolUse": {"input": piece}})


def tool_of(index: int, name: str) -> bytes:
    return frame("contentBlockStart", index, start={"toolUse": {"toolUseId": name, "name": name}})


BEGIN, SAID = frame("messageStart", role="assistant"), {"text": "a"}
BEDROCK: dict[str, tuple[list[Any], Read | str]] = {
    "interleaved calls, one without input": (
        [
            *(BEGIN, tool_of(0, "one"), tool_of(1, "two"), tool_of(2, "none")),
            *(input_of(1, '{"y":'), input_of(0, '{"x":1}'), input_of(1, "2}")),
            *(frame("contentBlockStop", index) for index in range(3)),
            frame("messageStop", stopReason="tool_use"),
        ],
        Read(calls=(ONE, TWO, ("none", {})), finish="tool_calls"),
    ),
    "an image in pieces, and one that was blocked": (
        [
            *(BEGIN, frame("contentBlockDelta", delta=SAID)),
            frame("contentBlockStart", 1, start={"image": {"format": "gif"}}),
            frame("contentBlockDelta", 1, delta={"image": {"source": {"bytes": "R0lGODk="}}}),
            frame("contentBlockDelta", 1, delta={"image": {"source": {"bytes": "YQ=="}}}),
            frame("contentBlockStop", 1),
            frame("contentBlockStart", 2, start={"image": {"format": "png"}}),
            frame("contentBlockDelta", 2, delta={"image": {"error": {"message": "no"}}}),
            *(frame("contentBlockStop", 2), frame("messageStop", stopReason="end_turn")),
        ],
        Read("a", images=(GIF,)),
    ),
    "an exception after a text": (
        [
            *(BEGIN, frame("contentBlockDelta", delta=SAID)),
            frames.exception("modelStreamErrorException", "boom"),
        ],
        "boom",
    ),
    "an end in the middle of a frame": (
        [BEGIN, frame("contentBlockDelta", delta=SAID), frame("messageStop")[:-3]],
        CUT_SHORT,
    ),
}
ENDED = line({}, done=True, done_reason="stop", **COUNTED)
OLLAMA: dict[str, tuple[list[Any], Read | str]] = {
    "thought, text and calls in two lines": (
        [
            line({"thinking": "hm", "content": "a"}),
            line({"content": "b", "tool_calls": [called(*ONE), called(*TWO)]}),
            ENDED,
        ],
        Read("ab", "hm", (ONE, TWO), "tool_calls", (5, 7)),
    ),
    "arguments as a text, or none": (
        [line({"tool_calls": [called("one", '{"x":1}'), {"function": {"name": "n"}}]}), ENDED],
        Read(calls=(ONE, ("n", {})), finish="tool_calls", usage=(5, 7)),
    ),
    "empty lines, and a last one without an end": (
        [b"\n", line({"content": "a"}), b"\r\n", ENDED.rstrip(b"\n")],
        Read("a", usage=(5, 7)),
    ),
    "an error after a text": ([line({"content": "a"}), b'{"error": "boom"}\n'], "boom"),
}


def item(type: str, **members: Any) -> dict[str, Any]:
    return {"type": type, "id": "i", **members}


def event(kind: str, **members: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", "output_index": 0, **members}


CALL = item("function_call", call_id="a", name="one", arguments='{"x":1}')
TEXT = item("message", content=[{"type": "output_text", "text": "a"}])
DRAWN = item("image_generation_call", status="completed", result="R0lGODlh", output_format="gif")
SEARCH = item("web_search_call", status="completed", action={"type": "search", "query": "q"})
CREATED = event("created", response={"id": "r", "model": "m", "status": "in_progress"})
COUNTS = {"input_tokens": 5, "output_tokens": 7}


def completed(*output: Any) -> dict[str, Any]:
    return event("completed", response={"status": "completed", "output": output, "usage": COUNTS})


RESPONSES: dict[str, tuple[list[Any], Read | str]] = {
    "a text in the item alone": (
        [CREATED, event("output_item.added", item=TEXT), event("output_item.done", item=TEXT)]
        + [completed(TEXT)],
        Read("a", usage=(5, 7)),
    ),
    "all of it in the last event": (
        [CREATED, completed(TEXT, CALL)],
        Read("a", calls=(ONE,), finish="tool_calls", usage=(5, 7)),
    ),
    "arguments in the item alone": (
        [
            *(CREATED, event("output_item.added", item=CALL | {"arguments": ""})),
            *(event("output_item.done", item=CALL), completed(CALL)),
        ],
        Read(calls=(ONE,), finish="tool_calls", usage=(5, 7)),
    ),
    "an image, its drafts and a search": (
        [
            *(CREATED, event("output_item.added", item=DRAWN | {"result": None})),
            event("image_generation_call.partial_image", partial_image_b64="AAAA"),
            event("image_generation_call.partial_image", partial_image_b64=""),
            event(
                "image_generation_call.partial_image",
                partial_image_b64="//77",
                output_format="webp",
            ),
            *(event("output_item.done", item=DRAWN), event("output_item.done", item=SEARCH)),
            completed(DRAWN, SEARCH),
        ],
        Read(
            usage=(5, 7),
            images=(GIF,),
            drafts=("data:image/png;base64,AAAA", "data:image/webp;base64,//77"),
        ),
    ),
    "an image in the last event, and one that has failed": (
        [CREATED, completed(DRAWN | {"result": None, "status": "failed"}, TEXT, DRAWN)],
        Read("a", usage=(5, 7), images=(GIF,)),
    ),
    "an error that is an event": (
        [CREATED, event("output_text.delta", delta="a"), {"type": "error", "message": "boom"}],
        "boom",
    ),
}
_CHUNKED = {"chat": CHAT, "messages": MESSAGES, "gemini": GEMINI, "responses": RESPONSES}
_OTHERS = {"bedrock": BEDROCK, "ollama": OLLAMA}
ODD: Mapping[tuple[str, str], tuple[bytes, Read | str]] = {
    (provider, name): (b"".join(events(*given)), told)
    for provider, table in {**_CHUNKED, **_OTHERS}.items()
    for name, (given, told) in table.items()
}
