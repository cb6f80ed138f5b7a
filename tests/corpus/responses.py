"""Responses of providers as values that a quirk can alter, and the bytes that they become."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from llm_mesh_middleware._core.values.usage import Usage

Json = dict[str, Any]

DONE = b"data: [DONE]\n\n"
CUTS = ("whole", "halves", "random")

EVENTS = "text/event-stream"
JSON = "application/json"


@dataclass
class Meaning:
    """What a client that reads a response must know afterwards, in whatever form it came."""

    text: str
    reasoning: str
    calls: list[tuple[str | None, str, str]]
    finish: Any
    usage: Json | None
    counts: Usage | None
    extra: list[Any]
    model: str = "m-1"


@dataclass
class Response:
    """One response.

    `body` is the JSON form's object, or the list of a stream's events: objects, or the bytes of
    what is no JSON. `texts` are replaced in the JSON of it, `wires` in all of its bytes.
    """

    body: Any
    means: Meaning
    content_type: str | None
    line_end: str = "\n"
    indent: int | str | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    texts: list[tuple[str, str]] = field(default_factory=list)
    wires: list[Callable[[bytes], bytes]] = field(default_factory=list)

    def copy(self) -> Response:
        return copy.deepcopy(self)

    @property
    def data(self) -> bytes:
        """The bytes of the response."""
        if isinstance(self.body, list):
            sent = b"".join(self._event(event) for event in self.body)
        else:
            sent = self._json(self.body, self.indent)
        for wire in self.wires:
            sent = wire(sent)
        return sent.replace(b"\n", self.line_end.encode())

    def _json(self, value: Any, indent: int | str | None = None) -> bytes:
        separators = None if indent is not None else (",", ":")
        text = json.dumps(value, indent=indent, separators=separators)
        for old, new in self.texts:
            text = text.replace(old, new)
        return text.encode()

    def _event(self, event: Any) -> bytes:
        if isinstance(event, bytes):
            return event
        name = event.get("type") if isinstance(event, dict) and "choices" not in event else None
        head = f"event: {name}\n" if name else ""
        return head.encode() + b"data: " + self._json(event) + b"\n\n"


class Quirk(NamedTuple):
    """An oddity; two of the same group exclude each other."""

    group: str
    alter: Callable[[Response], None]


class Case(NamedTuple):
    name: str
    response: Response
    cut: str

    @property
    def pieces(self) -> list[bytes]:
        return list(cut(self.response.data, self.cut, seed=self.name))


def cut(data: bytes, how: str, *, seed: str) -> Iterator[bytes]:
    """The pieces in which a response is sent."""
    if how == "whole":
        yield data
        return
    chance = random.Random(seed)
    begin = 0
    while begin < len(data):
        size = 97 if how == "halves" else chance.choice((1, 2, 3, 30, 300))
        yield data[begin : begin + size]
        begin += size


def cases(base: Response, quirks: Mapping[str, Quirk], first: str, *, every: int) -> Iterator[Case]:
    """`base` with the quirk `first`, alone and before every other; of these, each `every`th."""
    order = list(quirks)
    at = order.index(first)
    alone = base.copy()
    quirks[first].alter(alone)
    for how in CUTS if every == 1 else (CUTS[at % 3],):
        yield Case(f"{first} [{how}]", alone, how)
    for number, second in enumerate(order[at + 1 :], at):
        if quirks[first].group in ("", quirks[second].group):
            continue
        for turn, how in enumerate(CUTS):
            if (3 * number + 7 * at + turn) % every == 0:
                both = alone.copy()
                quirks[second].alter(both)
                yield Case(f"{first} + {second} [{how}]", both, how)


USAGE: Json = {
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "total_tokens": 18,
    "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 2},
}

CALLS: list[tuple[str | None, str, str]] = [("call_a", "sqrt", '{"x":16}'), ("call_b", "now", "{}")]


def _meaning(usage: Json | None = USAGE) -> Meaning:
    counts = Usage(11, 7, cache_read_tokens=3, reasoning_tokens=2)
    extra = [{"top": 1}, {"choice": [1.5]}, "message"]
    return Meaning("Hello, wörld", "I think", CALLS, "tool_calls", usage, counts, extra)


def completion() -> Response:
    """A whole chat completion with everything in it."""
    calls = [
        {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
        for id, name, arguments in CALLS
    ]
    message = {
        "role": "assistant",
        "content": "Hello, wörld",
        "reasoning_content": "I think",
        "tool_calls": calls,
        "x_message": "message",
    }
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": "tool_calls",
        "x_choice": {"choice": [1.5]},
    }
    body = {
        "id": "c-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "m-1",
        "choices": [choice],
        "usage": USAGE,
        "x_top": {"top": 1},
    }
    return Response(body, _meaning(), JSON)


def chunk(delta: Json | None, finish: str | None = None, **choice: Any) -> Json:
    part = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish, **choice}
    return {
        "id": "c-1",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "m-1",
        "choices": [part],
    }


def chunks() -> Response:
    """The same as a stream."""
    first = chunk({"role": "assistant", "content": ""}, x_choice={"choice": [1.5]})
    first["x_top"] = {"top": 1}
    body: list[Any] = [
        first,
        chunk({"reasoning_content": "I "}),
        chunk({"reasoning_content": "think"}),
        chunk({"content": "Hel", "x_message": "message"}),
        chunk({"content": "lo, "}),
        chunk({"content": "wörld"}),
    ]
    for index, (id, name, arguments) in enumerate(CALLS):
        function = {"name": name, "arguments": ""}
        opened = {"index": index, "id": id, "type": "function", "function": function}
        body.append(chunk({"tool_calls": [opened]}))
        pieces = [
            {"index": index, "function": {"arguments": s}} for s in (arguments[:1], arguments[1:])
        ]
        body += [chunk({"tool_calls": [piece]}) for piece in pieces]
    body.append(chunk({}, "tool_calls"))
    body.append({**chunk({}), "choices": [], "usage": USAGE})
    body.append(DONE)
    return Response(body, _meaning(), EVENTS)
