"""Oddities of providers' whole chat completions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llm_mesh_middleware._core.values.usage import Usage
from tests.corpus.responses import JSON, USAGE, Json, Quirk, Response

__all__ = ["QUIRKS"]


def top(**members: Any) -> Callable[[Response], None]:
    return lambda response: response.body.update(members)


def choice(**members: Any) -> Callable[[Response], None]:
    return lambda response: response.body["choices"][0].update(members)


def message(**members: Any) -> Callable[[Response], None]:
    return lambda response: _message(response).update(members)


def _message(response: Response) -> Json:
    said: Json = response.body["choices"][0]["message"]
    return said


def calls(**members: Any) -> Callable[[Response], None]:
    def alter(response: Response) -> None:
        for call in _message(response)["tool_calls"]:
            call.update(members)

    return alter


def without(name: str) -> Callable[[Response], None]:
    def alter(response: Response) -> None:
        del response.body["choices"][0][name]

    return alter


def formatted(indent: int | str, line_end: str = "\n") -> Callable[[Response], None]:
    def alter(response: Response) -> None:
        response.indent, response.line_end = indent, line_end

    return alter


def text(written: str, meant: str) -> Callable[[Response], None]:
    def alter(response: Response) -> None:
        response.texts.append(('"Hello, ', f'"{written}'))
        response.means.text = response.means.text.replace("Hello, ", meant)

    return alter


def counted(usage: Any, *counts: int, read: Json | None = None) -> Callable[[Response], None]:
    def alter(response: Response) -> None:
        response.body["usage"], response.means.usage = usage, read or usage
        response.means.counts = None
        if counts:
            inputs, output, cached, reasoning = counts
            response.means.counts = Usage(
                inputs, output, cache_read_tokens=cached, reasoning_tokens=reasoning
            )

    return alter


def finish(reason: Any) -> Callable[[Response], None]:
    def alter(response: Response) -> None:
        response.body["choices"][0]["finish_reason"] = response.means.finish = reason

    return alter


def no_calls(value: Any) -> Callable[[Response], None]:
    def alter(response: Response) -> None:
        _message(response)["tool_calls"] = value
        response.means.calls = []

    return alter


def reasoning_details(response: Response) -> None:
    block = {"type": "reasoning.text", "text": "I think", "signature": "s", "index": 0}
    _message(response)["reasoning_details"] = [block]
    del _message(response)["reasoning_content"]


def thinking_parts(response: Response) -> None:
    said = _message(response)
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "I think"}]}
    said["content"] = [thought, {"type": "text", "text": said["content"]}]
    del said["reasoning_content"]


def arguments_that_are_an_object(response: Response) -> None:
    _message(response)["tool_calls"][0]["function"]["arguments"] = {"x": 16}


def wired(alter: Callable[[bytes], bytes]) -> Callable[[Response], None]:
    return lambda response: response.wires.append(alter)


def labelled(content_type: str) -> Callable[[Response], None]:
    def alter(response: Response) -> None:
        response.content_type = content_type

    return alter


def _with(**members: Any) -> Json:
    return {**USAGE, **members}


QUIRKS: dict[str, Quirk] = {
    "plain": Quirk("", lambda response: None),
    # Formatting.
    "indented": Quirk("format", formatted(2)),
    "indented, cr lf": Quirk("format", formatted(1, "\r\n")),
    "indented by tabs": Quirk("format", formatted("\t")),
    "line ends around": Quirk("around", wired(lambda sent: b"\n \n" + sent + b"\n\n")),
    "byte order mark": Quirk("bom", wired(lambda sent: b"\xef\xbb\xbf" + sent)),
    "charset": Quirk("label", labelled(JSON + "; charset=utf-8")),
    # Numbers.
    "choice index null": Quirk("index", choice(index=None)),
    "choice index text": Quirk("index", choice(index="0")),
    "choice index float": Quirk("index", choice(index=0.0)),
    "choice index missing": Quirk("index", without("index")),
    "call index null": Quirk("call", calls(index=None)),
    "call index 0": Quirk("call", calls(index=0)),
    "call index text": Quirk("call", calls(index="0")),
    # Members that are odd, and their neighbours.
    "finish reason an object": Quirk("finish", finish({"type": "stop"})),
    "finish reason a number": Quirk("finish", finish(1)),
    "id a number": Quirk("id", top(id=17)),
    "id empty": Quirk("id", top(id="")),
    "object empty": Quirk("object", top(object="")),
    "object null": Quirk("object", top(object=None)),
    "created a float": Quirk("created", top(created=1.5)),
    "fingerprint a list": Quirk("fingerprint", top(system_fingerprint=[])),
    "tier an object": Quirk("tier", top(service_tier={"a": 1})),
    "type beside": Quirk("type", top(type="completion")),
    "choice usage odd": Quirk("usage", choice(usage={"prompt_tokens": "3"})),
    "filter results": Quirk("filter", top(prompt_filter_results=[{"prompt_index": 0}])),
    "logprobs": Quirk("logprobs", choice(logprobs={"content": [{"token": "a", "logprob": -1}]})),
    "refusal null": Quirk("refusal", message(refusal=None, audio=None, function_call=None)),
    "calls an object": Quirk("calls", no_calls({})),
    "calls null": Quirk("calls", no_calls(None)),
    "calls empty": Quirk("calls", no_calls([])),
    "arguments an object": Quirk("calls", arguments_that_are_an_object),
    # Reasoning and content.
    "reasoning details": Quirk("thought", reasoning_details),
    "thinking parts": Quirk("thought", thinking_parts),
    # Counts.
    "usage null": Quirk("usage", counted(None)),
    "usage floats": Quirk(
        "usage", counted(_with(prompt_tokens=11.0, completion_tokens=7.0), 11, 7, 3, 2, read=USAGE)
    ),
    "usage details lists": Quirk(
        "usage",
        counted(_with(prompt_tokens_details=[], completion_tokens_details=[]), 11, 7, 0, 0),
    ),
    "usage details null": Quirk(
        "usage",
        counted(_with(prompt_tokens_details=None, completion_tokens_details=None), 11, 7, 0, 0),
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
    "usage of deepseek": Quirk(
        "usage",
        counted(
            {"prompt_tokens": 11, "completion_tokens": 7, "prompt_cache_hit_tokens": 5}, 11, 7, 5, 0
        ),
    ),
    # What only a lenient parser reads.
    "surrogate half": Quirk("text", text("a\\ud83d", "a\ud83d")),
    "surrogate pair": Quirk("text", text("\\ud83d\\ude00", "\N{GRINNING FACE}")),
    "escapes": Quirk("text", text("\\u0041\\/\\n\\r", "A/\n\r")),
    "nan": Quirk("nan", choice(x_nan=float("nan"))),
    "infinity": Quirk("infinity", top(x_most=float("inf"), x_least=float("-inf"))),
    "number huge": Quirk("number", top(x_number=10**40, x_small=1e-300)),
    # Errors that are none.
    "error null": Quirk("error", top(error=None)),
    "error empty text": Quirk("error", top(error="")),
    "error empty object": Quirk("error", top(error={})),
    "error false": Quirk("error", top(error=False)),
    "error zero": Quirk("error", top(error=0)),
}
