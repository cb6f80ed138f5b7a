"""Bedrock's Converse: what it answers, and what botocore knows of its requests."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any
from urllib.parse import unquote

import anthropic
import botocore.session
import openai
from botocore.validate import ParamValidator

from llm_mesh_middleware.testing import Answer, RecordedRequest, Stream
from tests.canaries import canary
from tests.clouds.bench import HOST, Bench

SECRET = canary("bedrock")
USAGE = {
    "inputTokens": 5,
    "outputTokens": 7,
    "totalTokens": 12,
    "cacheReadInputTokens": 2,
    "cacheWriteInputTokens": 1,
}
MODEL = botocore.session.get_session().get_service_model("bedrock-runtime")


INPUT = MODEL.shape_for("ConverseRequest")
TOOL: Any = {
    "type": "function",
    "function": {"name": "f", "description": "", "parameters": {"properties": {}}, "strict": True},
}
FRAMES = (("content-type", "application/vnd.amazon.eventstream"), ("x-amzn-requestid", "req-1"))


def as_parameters(value: Any, shape: Any) -> Any:
    """JSON as botocore's parameters: blobs are bytes."""
    if shape.type_name == "blob":
        return b64decode(value, validate=True)
    if shape.type_name == "structure" and not getattr(shape, "is_document_type", False):
        assert isinstance(value, dict), (shape, value)
        unknown = value.keys() - shape.members.keys()
        assert not unknown, (shape.name, unknown)
        return {name: as_parameters(inner, shape.members[name]) for name, inner in value.items()}
    if shape.type_name == "list":
        return [as_parameters(item, shape.member) for item in value]
    return value


def judged(request: RecordedRequest) -> Any:
    """The body, which botocore's own model of the service must accept."""
    body = request.json()
    name = unquote(request.path.split("/")[2])
    report = ParamValidator().validate(as_parameters({**body, "modelId": name}, INPUT), INPUT)
    assert not report.has_errors(), report.generate_report()
    roles = [message["role"] for message in body["messages"]]
    assert roles == [("user", "assistant")[i % 2] for i in range(len(roles))]
    return body


def answer(*content: dict[str, Any], stop: str = "end_turn") -> Answer:
    message = {"role": "assistant", "content": list(content)}
    body = {"output": {"message": message}, "stopReason": stop, "usage": USAGE}
    return Answer(200, [("x-amzn-requestid", "req-1")], body | {"metrics": {"latencyMs": 1}})


def chat(made: Bench) -> Any:
    return openai.OpenAI(
        base_url=f"http://{HOST}/v1", api_key="none", max_retries=0, http_client=made.client
    ).chat.completions


def messages(made: Bench) -> Any:
    return anthropic.Anthropic(
        base_url=f"http://{HOST}", api_key="none", max_retries=0, http_client=made.client
    ).messages


HI: Any = [{"role": "user", "content": "Hi"}]


def stream(*frames: bytes) -> Stream:
    return Stream([b"".join(frames)], headers=FRAMES)


def without_time(events: bytes) -> list[Any]:
    found = []
    for each in events.split(b"\n\n"):
        data = each.removeprefix(b"data: ")
        if data.startswith(b"{"):
            decoded = json.loads(data)
            found.append((decoded.get("choices"), decoded.get("usage"), decoded.get("error")))
        else:
            found.append(data)
    return found
