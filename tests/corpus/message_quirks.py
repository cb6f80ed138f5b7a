"""Messages of Anthropic's dialect, and the oddities of those that providers send in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llm_mesh_middleware._core.values.usage import Usage
from tests.corpus.responses import EVENTS, JSON, Json, Meaning, Quirk, Response

__all__ = ["MESSAGE_QUIRKS", "STREAM_QUIRKS", "message", "message_stream"]

_COUNTS = Usage(25, 15)
_MEANING = Meaning("", "", [], None, None, _COUNTS, [])


def message() -> Response:
    """A whole message with every kind of block in it."""
    content = [
        {"type": "thinking", "thinking": "I think", "signature": "Et"},
        {"type": "text", "text": "Hello, wörld"},
        {"type": "tool_use", "id": "toolu_1", "name": "sqrt", "input": {"x": 16}},
    ]
    usage = {"input_tokens": 25, "output_tokens": 15}
    return Response(
        {**_BEGUN, "content": content, "stop_reason": "tool_use", "usage": usage}, _MEANING, JSON
    )


def message_stream() -> Response:
    """The same as a stream."""
    started = {**_BEGUN, "usage": {"input_tokens": 25, "output_tokens": 1}}
    body: list[Any] = [{"type": "message_start", "message": started}, {"type": "ping"}]
    blocks: list[tuple[Json, list[Json]]] = [
        (
            {"type": "thinking", "thinking": "", "signature": ""},
            [
                {"type": "thinking_delta", "thinking": "I "},
                {"type": "thinking_delta", "thinking": "think"},
                {"type": "signature_delta", "signature": "Et"},
            ],
        ),
        (
            {"type": "text", "text": ""},
            [{"type": "text_delta", "text": text} for text in ("Hel", "lo, ", "wörld")],
        ),
        (
            {"type": "tool_use", "id": "toolu_1", "name": "sqrt", "input": {}},
            [{"type": "input_json_delta", "partial_json": part} for part in ("", '{"x":', "16}")],
        ),
    ]
    for index, (block, deltas) in enumerate(blocks):
        body.append({"type": "content_block_start", "index": index, "content_block": block})
        body += [{"type": "content_block_delta", "index": index, "delta": d} for d in deltas]
        body.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": "tool_use", "stop_sequence": None}
    body.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 15}})
    body.append({"type": "message_stop"})
    return Response(body, _MEANING, EVENTS)


_BEGUN: Json = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m-1",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
}


def counted(start: Json, *deltas: Json, counts: Usage) -> Callable[[Response], None]:
    """Other counts in the first event and in those of the message's end."""

    def alter(response: Response) -> None:
        response.body[0]["message"]["usage"] = start
        at = next(n for n, e in enumerate(response.body) if _type(e) == "message_delta")
        end = response.body[at]
        response.body[at : at + 1] = [{**end, "usage": usage} for usage in deltas]
        response.means.counts = counts

    return alter


def _type(event: Any) -> Any:
    return event.get("type") if isinstance(event, dict) else None


def on_events(**members: Any) -> Callable[[Response], None]:
    def alter(response: Response) -> None:
        for event in response.body:
            if isinstance(event, dict):
                event.update(members)

    return alter


def between(*added: Any) -> Callable[[Response], None]:
    def alter(response: Response) -> None:
        response.body[2:2] = added

    return alter


def wired(alter: Callable[[bytes], bytes]) -> Callable[[Response], None]:
    return lambda response: response.wires.append(alter)


def replaced(old: str, new: str) -> Callable[[Response], None]:
    return lambda response: response.texts.append((old, new))


def having(**attributes: Any) -> Callable[[Response], None]:
    def alter(response: Response) -> None:
        for name, value in attributes.items():
            setattr(response, name, value)

    return alter


def top(**members: Any) -> Callable[[Response], None]:
    return lambda response: response.body.update(members)


def whole_counts(usage: Json, counts: Usage) -> Callable[[Response], None]:
    def alter(response: Response) -> None:
        response.body["usage"], response.means.counts = usage, counts

    return alter


CACHE: Json = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 100}
CREATED: Json = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}

STREAM_QUIRKS: dict[str, Quirk] = {
    "plain": Quirk("", lambda response: None),
    "input repeated as 0": Quirk(
        "usage",
        counted(
            {"input_tokens": 25, "output_tokens": 1},
            {"input_tokens": 0, "output_tokens": 15},
            counts=Usage(25, 15),
        ),
    ),
    "input repeated as null": Quirk(
        "usage",
        counted(
            {"input_tokens": 25, "output_tokens": 1},
            {"input_tokens": None, "output_tokens": 15},
            counts=Usage(25, 15),
        ),
    ),
    "all counts at the end": Quirk(
        "usage",
        counted(
            {"input_tokens": 0, "output_tokens": 0},
            {"input_tokens": 4522, "cache_creation_input_tokens": 4511, "output_tokens": 5},
            counts=Usage(9033, 5, cache_write_tokens=4511),
        ),
    ),
    "cache at the start": Quirk(
        "usage",
        counted(
            {"input_tokens": 25, **CACHE, "output_tokens": 1},
            {"output_tokens": 15},
            counts=Usage(125, 15, cache_read_tokens=100),
        ),
    ),
    "cumulative": Quirk(
        "usage",
        counted(
            {"input_tokens": 25, **CACHE, "output_tokens": 1},
            {"input_tokens": 25, **CACHE, "output_tokens": 15},
            counts=Usage(125, 15, cache_read_tokens=100),
        ),
    ),
    "input repeated without the cache": Quirk(
        "usage",
        counted(
            {"input_tokens": 25, **CACHE, "output_tokens": 1},
            {"input_tokens": 25, "output_tokens": 15},
            counts=Usage(125, 15, cache_read_tokens=100),
        ),
    ),
    "two ends": Quirk(
        "usage",
        counted(
            {"input_tokens": 25, "output_tokens": 1},
            {"output_tokens": 15},
            {"output_tokens": 20},
            counts=Usage(25, 20),
        ),
    ),
    "more about usage": Quirk(
        "usage",
        counted(
            {
                "input_tokens": 25,
                "output_tokens": 1,
                "cache_creation": CREATED,
                "service_tier": "a",
            },
            {"output_tokens": 15, "server_tool_use": {"web_search_requests": 1}},
            counts=Usage(25, 15),
        ),
    ),
    "error null": Quirk("error", on_events(error=None)),
    "error false": Quirk("error", on_events(error=False)),
    "error empty": Quirk("error", on_events(error={})),
    "unknown members": Quirk("unknown", on_events(x_trace={"a": [1.5]})),
    "unknown event": Quirk("event", between({"type": "x_status", "status": "warming"})),
    "pings": Quirk("ping", between({"type": "ping"}, {"type": "ping"})),
    "comments": Quirk("comment", between(b": waiting\n\n", b":\n")),
    "cr lf": Quirk("line", having(line_end="\r\n")),
    "cr": Quirk("line", having(line_end="\r")),
    "no space": Quirk("space", wired(lambda sent: sent.replace(b"data: ", b"data:"))),
    "surrogate pair split": Quirk("text", replaced('"Hel"', '"\\ud83d"')),
    "nan": Quirk("nan", on_events(x_nan=float("nan"))),
    "label plain": Quirk("label", having(content_type="text/plain")),
    "label absent": Quirk("label", having(content_type=None)),
    "label charset": Quirk("label", having(content_type=EVENTS + "; charset=utf-8")),
}

MESSAGE_QUIRKS: dict[str, Quirk] = {
    "plain": Quirk("", lambda response: None),
    "indented": Quirk("format", having(indent=2)),
    "indented, cr lf": Quirk("format", having(indent="\t", line_end="\r\n")),
    "byte order mark": Quirk("bom", wired(lambda sent: b"\xef\xbb\xbf" + sent)),
    "surrogate half": Quirk("text", replaced('"Hello, ', '"\\ud83d')),
    "nan": Quirk("nan", top(x_nan=float("nan"))),
    "infinity": Quirk("nan", top(x_most=float("inf"))),
    "unknown members": Quirk("unknown", top(x_trace={"a": [1.5]}, container=None)),
    "stop reason unknown": Quirk("stop", top(stop_reason="weather")),
    "error null": Quirk("error", top(error=None)),
    "error false": Quirk("error", top(error=False)),
    "cache read": Quirk(
        "usage",
        whole_counts(
            {"input_tokens": 25, "output_tokens": 15, **CACHE},
            Usage(125, 15, cache_read_tokens=100),
        ),
    ),
    "cache written, not read": Quirk(
        "usage",
        whole_counts(
            {"input_tokens": 25, "output_tokens": 15, "cache_creation_input_tokens": 50},
            Usage(75, 15, cache_write_tokens=50),
        ),
    ),
    "cache null": Quirk(
        "usage",
        whole_counts(
            {"input_tokens": 25, "output_tokens": 15, **dict.fromkeys(CACHE)}, Usage(25, 15)
        ),
    ),
}
