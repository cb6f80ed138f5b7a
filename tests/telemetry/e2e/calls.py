"""A mesh with two providers, and the scripted calls whose telemetry is known beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from llm_mesh_middleware.testing import (
    Answer,
    FakeUpstream,
    Stream,
    chat_completion,
    chat_stream,
    error_body,
)

__all__ = [
    "BACKUP",
    "HOST",
    "PARENT_ID",
    "PRIMARY",
    "TOOLS",
    "TRACE_ID",
    "Providers",
    "make_calls",
    "providers",
]

HOST, PRIMARY, BACKUP = "llm.example", "primary.example", "backup.example"
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT_ID = "b7ad6b7169203331"

_MANIFEST = """
apiVersion: istio.alibabacloud.com/v1
kind: LLMProvider
metadata: {{name: primary}}
spec:
  host: primary.example
  path: /v1/chat/completions
  endpoint: {primary}
  outlierDetection: {{consecutiveFailures: 2, baseEjectionTime: 60s}}
  configs: {{defaultConfig: {{openAIConfig: {{model: large-1}}}}}}
---
apiVersion: istio.alibabacloud.com/v1
kind: LLMProvider
metadata: {{name: backup}}
spec:
  host: backup.example
  path: /v1/chat/completions
  endpoint: {backup}
  configs: {{defaultConfig: {{openAIConfig: {{model: small-1}}}}}}
---
apiVersion: istio.alibabacloud.com/v1
kind: LLMRoute
metadata: {{name: chat}}
spec:
  host: llm.example
  rules:
  - name: all
    retry: {{attempts: 1}}
    backendRefs:
    - {{providerHost: primary.example, priority: 0}}
    - {{providerHost: backup.example, priority: 1}}
---
apiVersion: llm-mesh.dev/v1alpha1
kind: LLMPolicy
metadata: {{name: generous}}
spec:
  limits:
  - {{name: tokens, by: [model], tokens: 1G}}
"""

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]
_USAGE = {
    "prompt_tokens": 12,
    "completion_tokens": 9,
    "total_tokens": 21,
    "prompt_tokens_details": {"cached_tokens": 8},
    "completion_tokens_details": {"reasoning_tokens": 3},
}


@dataclass(frozen=True)
class Providers:
    """Both providers and the manifest that names them."""

    primary: FakeUpstream
    backup: FakeUpstream
    config: Path


@contextmanager
def providers(folder: Path) -> Iterator[Providers]:
    with (
        FakeUpstream(host_names=PRIMARY, tls=False) as primary,
        FakeUpstream(host_names=BACKUP, tls=False) as backup,
    ):
        config = folder / "mesh.yaml"
        config.write_text(_MANIFEST.format(primary=primary.url, backup=backup.url), "utf-8")
        yield Providers(primary, backup, config)


def make_calls(url: str, upstreams: Providers) -> list[int]:
    """A plain chat, a stream with tools, a fallback, a refusal; the statuses they got."""
    upstreams.primary.script(
        Answer(
            headers=[("x-request-id", "req-1")],
            body={
                **chat_completion("Good day", model="large-1-0605", usage=_USAGE, id="chat-1"),
                "system_fingerprint": "fp_1",
                "service_tier": "default",
            },
        ),
        Stream(
            chat_stream(
                ["Sun", "ny"], model="large-1-0605", usage=_USAGE, include_usage=True, id="chat-2"
            ),
            pause=0.005,
        ),
        Answer(503, body=error_body("Overloaded", type="server_error")),
        Answer(400, body=error_body("No such parameter", param="foo")),
    )
    upstreams.backup.script(
        Answer(body=chat_completion("From the backup", model="small-1", id="chat-3"))
    )
    traceparent = f"00-{TRACE_ID}-{PARENT_ID}-01"
    with httpx.Client(base_url=url, trust_env=False, headers={"host": HOST}) as client:
        answers = [
            client.post("/v1/chat/completions", json=_body(temperature=0.5, seed=7, max_tokens=50)),
            client.post("/", json=_body(stream=True, tools=TOOLS)),
            client.post("/", json=_body(), headers={"traceparent": traceparent}),
            client.post("/", json=_body(foo=1)),
        ]
    return [answer.status_code for answer in answers]


def _body(**members: object) -> Mapping[str, object]:
    message = {"role": "user", "content": "SECRET-PROMPT: what is the weather in Kyoto?"}
    return {"model": "any", "messages": [message], **members}
