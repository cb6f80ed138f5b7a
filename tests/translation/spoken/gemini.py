"""Google's generated content."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from google.genai import types

from llm_mesh_middleware._dialects import gemini
from llm_mesh_middleware.testing import RecordedRequest, Stream
from tests.translation.spoken.rows import (
    CACHED,
    ERROR_WORDS,
    INPUT,
    KEY,
    OUTPUT,
    REASONED,
    SIGNATURE,
    Call,
    Part,
    Provider,
    Spoken,
)

__all__ = ["SPOKEN", "judged"]

_JUDGES: dict[str, Any] = {
    "systemInstruction": types.Content,
    "generationConfig": types.GenerationConfig,
    "toolConfig": types.ToolConfig,
}
_ERRORS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}


def judged(request: RecordedRequest) -> Any:
    """Return the body, which Google's own types must accept, with a response for each call."""
    body = request.json()
    known = {"contents", "tools", "serviceTier", *_JUDGES}
    assert body.keys() <= known
    for name, judge in _JUDGES.items():
        if name in body:
            judge.model_validate(body[name])
    calls = 0
    for one in body["contents"]:
        made = types.Content.model_validate(one)
        assert made.parts
        responses = [part for part in made.parts if part.function_response]
        if calls:
            assert len(responses) == len(made.parts) == calls
        calls = len([part for part in made.parts if part.function_call])
    assert len(body.get("tools", ())) <= 1
    for tool in body.get("tools", ()):
        types.Tool.model_validate(tool)
    return body


def _content(*parts: Any, **more: Any) -> bytes:
    finish = {"finishReason": more.pop("finish")} if "finish" in more else {}
    candidate = {"content": {"role": "model", "parts": parts}, "index": 0, **finish}
    event = {"candidates": [candidate], "modelVersion": "g", "responseId": "r", **more}
    return b"data: %s\r\n\r\n" % json.dumps(event).encode()


def _counts(input: int, output: int) -> dict[str, int]:
    total = {"totalTokenCount": input + output}
    return {"promptTokenCount": input, "candidatesTokenCount": output, **total}


def _write(part: Part) -> dict[str, Any]:
    words = {"length": "MAX_TOKENS", "refused": "SAFETY"}
    parts: list[dict[str, Any]] = []
    parts += [{"text": part.thought, "thought": True}] if part.thought else []
    parts += [{"text": part.text}] if part.text else []
    parts += [{"functionCall": {"name": name, "args": args}} for _, name, args in part.calls]
    content = {"role": "model", "parts": parts}
    finish = words.get(part.finish, "STOP")
    return {
        "candidates": [{"index": 0, "content": content, "finishReason": finish}],
        "modelVersion": "gemini",
        "responseId": "r",
        "usageMetadata": {
            "promptTokenCount": INPUT,
            "cachedContentTokenCount": CACHED,
            "candidatesTokenCount": OUTPUT - REASONED,
            "thoughtsTokenCount": REASONED,
            "totalTokenCount": INPUT + OUTPUT,
        },
    }


def _plays(thought: str, said: str, calls: Sequence[Call]) -> Stream:
    made = [{"functionCall": {"name": name, "args": args}} for _, name, args in calls]
    signed = [
        one | ({"thoughtSignature": SIGNATURE} if i == 0 else {}) for i, one in enumerate(made)
    ]
    return Stream(
        [
            _content({"text": thought, "thought": True}),
            _content({"text": said}),
            *map(_content, signed),
            _content({"text": ""}, finish="STOP", usageMetadata=_counts(INPUT, OUTPUT)),
        ]
    )


def _error(status: int) -> Mapping[str, Any]:
    return {"error": {"code": status, "message": ERROR_WORDS, "status": _ERRORS.get(status, "X")}}


SPOKEN = Spoken(
    side=gemini.SIDES,
    ask='{"contents": []}',
    operation=gemini.STREAM,
    query="alt=sse",
    stream=[
        _content({"text": "hm", "thought": True}),
        _content({"text": "Grüße, 世界", "thoughtSignature": "c2ln"}),
        _content(
            {"functionCall": {"name": "one", "args": {"x": 1}}, "thoughtSignature": "c2lnMg=="}
        ),
        _content({"functionCall": {"name": "two", "args": {"y": 2}}}),
        _content({"text": ""}, finish="STOP", usageMetadata=_counts(5, 7)),
    ],
    last=1,
    end=b"finishReason",
    provider=Provider(
        config={"geminiConfig": {"apiKey": KEY, "model": "gemini-x"}},
        path="/v1beta/models/m:generateContent",
        write=_write,
        plays=_plays,
        judge=judged,
        error=_error,
        vendor="gcp.gemini",
        proof=SIGNATURE,
    ),
)
