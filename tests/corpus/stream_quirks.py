"""Oddities of providers' streams of chat completions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from llm_mesh_middleware._core.values.usage import Usage
from tests.corpus.responses import DONE, EVENTS, USAGE, Json, Quirk, Response, chunk

__all__ = ["QUIRKS"]


def events(response: Response) -> Iterator[Json]:
    return (event for event in response.body if isinstance(event, dict))


def choices(response: Response) -> Iterator[Json]:
    return (c for e in events(response) for c in e.get("choices") or () if isinstance(c, dict))


def deltas(response: Response) -> Iterator[Json]:
    return (choice["delta"] for choice in choices(response) if choice.get("delta") is not None)


def calls(response: Response) -> Iterator[Json]:
    return (call for delta in deltas(response) for call in delta.get("tool_calls") or ())


def last_choice(response: Response) -> Json:
    return next(c for c in choices(response) if c.get("finish_reason"))


def on_events(**members: Any) -> Callable[[Response], None]:
    def alter(response: Response) -> None:
        for event in events(response):
            event.update({k: v for k, v in members.items() if k not in event})

    return alter


def on_choices(**members: Any) -> Callable[[Response], None]:
    def alter(response: Response) -> None:
        for choice in choices(response):
            choice.update(members)

    return alter


def on_deltas(**members: Any) -> Callable[[Response], None]:
    def alter(response: Response) -> None:
        for delta in deltas(response):
            delta.update({k: v for k, v in members.items() if k not in delta})

    return alter


def counted(usage: Json, *counts: int, read: Json | None = None) -> Callable[[Response], None]:
    """Another usage event, what is to be counted, and what the SDK reads if that is different."""

    def alter(response: Response) -> None:
        for event in events(response):
            if event.get("usage") == USAGE:
                event["usage"] = usage
        response.means.usage = read or usage
        inputs, output, cached, reasoning = counts
        response.means.counts = Usage(
            inputs, output, cache_read_tokens=cached, reasoning_tokens=reasoning
        )

    return alter


def without_usage_event(response: Response) -> None:
    response.body = [
        e for e in response.body if not (isinstance(e, dict) and e.get("usage") == USAGE)
    ]


def usage_in_the_last_choice(response: Response) -> None:
    without_usage_event(response)
    last_choice(response)["usage"] = USAGE


def usage_of_groq(response: Response) -> None:
    without_usage_event(response)
    event = next(e for e in events(response) if last_choice(response) in e["choices"])
    event["x_groq"] = {"id": "req-1", "usage": USAGE}


def usage_in_the_last_chunk(response: Response) -> None:
    without_usage_event(response)
    event = next(e for e in events(response) if last_choice(response) in e["choices"])
    event["usage"] = USAGE


def usage_on_every_event(response: Response) -> None:
    for event in events(response):
        event["usage"] = USAGE


def before(*added: Any) -> Callable[[Response], None]:
    def alter(response: Response) -> None:
        response.body[:0] = added

    return alter


def between(*added: Any) -> Callable[[Response], None]:
    def alter(response: Response) -> None:
        response.body[3:3] = added

    return alter


def behind(*added: Any) -> Callable[[Response], None]:
    """After everything but [DONE]."""

    def alter(response: Response) -> None:
        at = response.body.index(DONE) if DONE in response.body else len(response.body)
        response.body[at:at] = added

    return alter


def without_done(response: Response) -> None:
    response.body.remove(DONE)


def without_the_last_empty_line(response: Response) -> None:
    response.wires.append(lambda sent: sent.removesuffix(b"\n"))


def replaced(old: bytes, new: bytes) -> Callable[[Response], None]:
    return lambda response: response.wires.append(lambda sent: sent.replace(old, new))


def labelled(content_type: str | None) -> Callable[[Response], None]:
    def alter(response: Response) -> None:
        response.content_type = content_type

    return alter


def line_end(end: str) -> Callable[[Response], None]:
    def alter(response: Response) -> None:
        response.line_end = end

    return alter


def text(first: str, second: str, meant: str) -> Callable[[Response], None]:
    """Other JSON for the first two pieces of the content."""

    def alter(response: Response) -> None:
        response.texts += [('"Hel"', f'"{first}"'), ('"lo, "', f'"{second}"')]
        response.means.text = response.means.text.replace("Hello, ", meant)

    return alter


def calls_numbered(index: Any) -> Callable[[Response], None]:
    def alter(response: Response) -> None:
        for call in calls(response):
            call["index"] = index

    return alter


def calls_without_a_number(response: Response) -> None:
    for call in calls(response):
        del call["index"]


def call_number_counts_deltas(response: Response) -> None:
    for at, call in enumerate(calls(response)):
        call["index"] = at


def calls_that_repeat_their_names(response: Response) -> None:
    known: Json = {}
    for call in calls(response):
        known = call if "id" in call else known
        call |= {"id": known["id"], "type": "function"}
        call["function"]["name"] = known["function"]["name"]


def calls_with_empty_names(response: Response) -> None:
    for call in calls(response):
        if "id" not in call:
            call |= {"id": "", "type": ""}
            call["function"]["name"] = ""


def calls_without_a_type(response: Response) -> None:
    for call in calls(response):
        call.pop("type", None)


def calls_whole_and_numbered_0(response: Response) -> None:
    whole = [
        {"index": 0, "id": id, "type": "function", "function": {"name": name, "arguments": said}}
        for id, name, said in response.means.calls
    ]
    response.body = [
        e
        for e in response.body
        if not (
            isinstance(e, dict) and any("tool_calls" in (c["delta"] or {}) for c in e["choices"])
        )
    ]
    response.body[6:6] = [chunk({"tool_calls": [call]}) for call in whole]


def choice_number_counts_events(response: Response) -> None:
    for at, choice in enumerate(choices(response)):
        choice["index"] = at


def reasoning_as(make: Callable[[str], Json]) -> Callable[[Response], None]:
    def alter(response: Response) -> None:
        for delta in deltas(response):
            if "reasoning_content" in delta:
                delta |= make(delta.pop("reasoning_content"))

    return alter


def open_router(said: str) -> Json:
    block = {"type": "reasoning.text", "text": said, "format": "anthropic-claude-v1", "index": 0}
    return {"reasoning_details": [block]}


def mistral(said: str) -> Json:
    return {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": said}]}]}


def content_in_parts(response: Response) -> None:
    for delta in deltas(response):
        if isinstance(delta.get("content"), str) and delta["content"]:
            delta["content"] = [{"type": "text", "text": delta["content"]}]


def message_beside_the_last_delta(response: Response) -> None:
    choice = last_choice(response)
    choice["message"] = {"role": "assistant", "content": "Hello, wörld"}


def finish_reason_that_is(value: Any) -> Callable[[Response], None]:
    def alter(response: Response) -> None:
        last_choice(response)["finish_reason"] = value
        response.means.finish = value

    return alter


def empty_finish_reasons(response: Response) -> None:
    for choice in choices(response):
        choice["finish_reason"] = choice["finish_reason"] or ""


def ids_that_are_numbers(response: Response) -> None:
    for event in events(response):
        event["id"] = 17


def cumulative_usage(response: Response) -> None:
    for at, event in enumerate(events(response)):
        if "usage" not in event:
            event["usage"] = {"prompt_tokens": 11, "completion_tokens": at % 7, "total_tokens": 0}


EMPTY: Json = {"id": "", "object": "", "created": 0, "model": "", "choices": []}
FILTER: Json = {"hate": {"filtered": False, "severity": "safe"}}
FILTERED: Json = {"index": 0, "finish_reason": None, "content_filter_results": FILTER}


def _with(**members: Any) -> Json:
    return {**USAGE, **members}


QUIRKS: dict[str, Quirk] = {
    "plain": Quirk("", lambda response: None),
    # Numbers.
    "choice index null": Quirk("index", on_choices(index=None)),
    "choice index text": Quirk("index", on_choices(index="0")),
    "choice index float": Quirk("index", on_choices(index=0.0)),
    "call index missing": Quirk("call", calls_without_a_number),
    "call index null": Quirk("call", calls_numbered(None)),
    "call index counts deltas": Quirk("call", call_number_counts_deltas),
    "calls whole, all 0": Quirk("call", calls_whole_and_numbered_0),
    "call names repeated": Quirk("call", calls_that_repeat_their_names),
    "call names empty": Quirk("call", calls_with_empty_names),
    "call type missing": Quirk("call type", calls_without_a_type),
    # Members that are odd, and their neighbours.
    "finish reason an object": Quirk("finish", finish_reason_that_is({"type": "stop"})),
    "finish reason a number": Quirk("finish", finish_reason_that_is(1)),
    "finish reasons empty": Quirk("finish", empty_finish_reasons),
    "id a number": Quirk("id", ids_that_are_numbers),
    "fingerprint a list": Quirk("fingerprint", on_events(system_fingerprint=[])),
    "tier an object": Quirk("tier", on_events(service_tier={"a": 1})),
    "choice usage odd": Quirk("usage", on_choices(usage={"prompt_tokens": "3"})),
    "role everywhere": Quirk("role", on_deltas(role="assistant")),
    "members null": Quirk("nulls", on_deltas(content=None, tool_calls=None, refusal=None)),
    "trace beside": Quirk("trace", on_events(x_trace={"a": 1, "b": [2]})),
    "type beside": Quirk("type", on_events(type="chunk")),
    "response beside": Quirk("response", on_events(response=None)),
    # Counts.
    "usage everywhere": Quirk("usage", usage_on_every_event),
    "usage cumulative": Quirk("usage", cumulative_usage),
    "usage null before": Quirk("usage null", on_events(usage=None)),
    "usage in the last chunk": Quirk("usage", usage_in_the_last_chunk),
    "usage in the choice": Quirk("usage", usage_in_the_last_choice),
    "usage of groq": Quirk("usage", usage_of_groq),
    "usage floats": Quirk(
        "usage", counted(_with(prompt_tokens=11.0, completion_tokens=7.0), 11, 7, 3, 2, read=USAGE)
    ),
    "usage details lists": Quirk(
        "usage",
        counted(_with(prompt_tokens_details=[], completion_tokens_details=[]), 11, 7, 0, 0),
    ),
    "usage details odd": Quirk(
        "usage",
        counted(_with(prompt_tokens_details={"cached_tokens": "3"}), 11, 7, 0, 2, read=USAGE),
    ),
    "usage total huge": Quirk("usage", counted(_with(total_tokens=10**30), 11, 7, 3, 2)),
    "usage of xai": Quirk(
        "usage",
        counted(
            _with(total_tokens=20, completion_tokens_details={"reasoning_tokens": 2}), 11, 9, 3, 2
        ),
    ),
    # What only a lenient parser reads.
    "surrogate pair split": Quirk("text", text("a\\ud83d", "\\ude00b", "a\N{GRINNING FACE}b")),
    "surrogate half": Quirk("text", text("a\\ud83d", "b", "a\ud83db")),
    "escapes": Quirk("text", text("\\u0041\\/", "\\n\\u2028", "A/\n\u2028")),
    "nan": Quirk("nan", on_choices(x_nan=float("nan"))),
    "infinity": Quirk("infinity", on_events(x_most=float("inf"), x_least=float("-inf"))),
    # Errors that are none.
    "error empty text": Quirk("error", on_events(error="")),
    "error empty object": Quirk("error", on_events(error={})),
    "error false": Quirk("error", on_events(error=False)),
    "error zero": Quirk("error", on_events(error=0)),
    "error null": Quirk("error", on_events(error=None)),
    # Reasoning and content.
    "reasoning": Quirk("thought", reasoning_as(lambda said: {"reasoning": said})),
    "reasoning details": Quirk("thought", reasoning_as(open_router)),
    "thinking parts": Quirk("thought", reasoning_as(mistral)),
    "content parts": Quirk("content", content_in_parts),
    "message beside": Quirk("message", message_beside_the_last_delta),
    # Events that are no chunk of the answer.
    "azure first": Quirk("first", before({**EMPTY, "prompt_filter_results": [FILTER]})),
    "azure last": Quirk("last", behind({**EMPTY, "choices": [FILTERED]})),
    "choices null": Quirk("no choices", between({**chunk({}), "choices": None})),
    "null": Quirk("null event", between(b"data: null\n\n")),
    "empty object": Quirk("empty", between({})),
    "comments": Quirk("comment", before(b": PROCESSING\n\n", b":\n", b"\n\n")),
    "comments between": Quirk("comment", between(b": a\n", b": b\n\n", b"\n")),
    # After all that adds events.
    "choice index counts events": Quirk("index", choice_number_counts_events),
    # Lines.
    "cr lf": Quirk("line", line_end("\r\n")),
    "cr": Quirk("line", line_end("\r")),
    "no space": Quirk("space", replaced(b"data: ", b"data:")),
    "data in many lines": Quirk("lines", replaced(b',"', b',\ndata: "')),
    "retry and id": Quirk("name", replaced(b"data: {", b"retry: 10\nid: 7\ndata: {")),
    "event names": Quirk("name", replaced(b"data: {", b"event: message\ndata: {")),
    "byte order mark": Quirk("bom", lambda r: r.wires.append(lambda sent: b"\xef\xbb\xbf" + sent)),
    # The end.
    "no done": Quirk("done", without_done),
    "no last empty line": Quirk("end", without_the_last_empty_line),
    "no usage": Quirk("usage", lambda r: (without_usage_event(r), _uncounted(r))[0]),
    # Labels.
    "label plain": Quirk("label", labelled("text/plain")),
    "label json": Quirk("label", labelled("application/json")),
    "label octets": Quirk("label", labelled("application/octet-stream")),
    "label absent": Quirk("label", labelled(None)),
    "label charset": Quirk("label", labelled(EVENTS + ";charset=UTF-8")),
}


def _uncounted(response: Response) -> None:
    response.means.usage = response.means.counts = None
