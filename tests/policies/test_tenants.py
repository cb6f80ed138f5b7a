"""No response crosses from one tenant to another, whatever the requests, dialects and guards are.

The provider tells each response by the tenant of its request, which it knows from a field that no
part of the mesh reads.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from llm_mesh_middleware import LLMPolicy, Mesh, MeshSettings
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware.testing import Answer, FakeUpstream, RecordedRequest, chat_completion
from tests.resilience.meshes import HOST, key_of, provider, route
from tests.semantic.provider import MODEL, embed

TENANTS = ("a", "b", "a|b", "", "1:a", "ab")
TEXTS = (
    *("Hello", "Write to {mail}", "Hello {mail} and 4111 1111 1111 1111", "Bye"),
    *("hello.", "write to {mail}!", "hello {mail} and 4111 1111 1111 1111", "bye bye"),
)
GEMINI = ("/v1beta/models/m:generateContent", "/v1beta/models/m:streamGenerateContent")
PATHS = ("/v1/chat/completions", "/v1/messages", "/v1/responses", *GEMINI)


def echo(request: RecordedRequest) -> Answer:
    text = request.json()["messages"][-1]["content"]
    if not isinstance(text, str):
        text = "".join(part["text"] for part in text)
    tenant = bytes.fromhex(request.header("x-tag") or "").decode()
    return Answer(body=chat_completion(f"<{tenant}> said {text};"))


@pytest.fixture(scope="module")
def vectors() -> Iterator[FakeUpstream]:
    with FakeUpstream(tls=False, api_key=key_of("vectors")) as upstream:
        upstream.always(embed)
        yield upstream


@pytest.fixture(scope="module")
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream(tls=False, api_key=key_of("primary")) as upstream:
        upstream.always(echo)
        yield upstream


def alike(random: Random) -> dict[str, Any]:
    """A semantic cache that takes much for alike, or none."""
    if importlib.util.find_spec("numpy") is None or random.random() < 0.3:
        return {}
    embedding = {"providerHost": "vectors.example", "model": MODEL}
    semantic = {"embedding": embedding, "threshold": random.choice([0.1, 0.6])}
    return {"semantic": {**semantic, "shadow": random.random() < 0.3, "timeout": "10s"}}


def policy(random: Random) -> LLMPolicy:
    vary = random.choice([["attribute:tenant"], ["attribute:tenant", "model"], ["consumer"]])
    guards = [
        {
            "name": f"pii-{number}",
            "on": (on := random.choice([["request"], ["response"], ["request", "response"]])),
            "pii": {"entities": random.choice([["EMAIL"], ["CREDIT_CARD"], ["EMAIL", "IBAN"]])},
            "action": {"mask": {"unmask": "request" in on and random.random() < 0.7}},
        }
        for number in range(random.randrange(3))
    ]
    spec = {"cache": {"vary": vary, "staleIfError": "1h", **alike(random)}, "guards": guards}
    return LLMPolicy.model_validate({"metadata": {"name": "team"}, "spec": spec})


def request(random: Random, tenant: str, mail: str) -> ClientRequest:
    path = random.choice(PATHS)
    text = random.choice(TEXTS).format(mail=mail)
    messages = [{"role": "user", "content": text}]
    body: dict[str, Any] = {"model": random.choice(["m", "n"]), "stream": random.random() < 0.3}
    body |= {"input": messages} if path.endswith("responses") else {"messages": messages}
    if path.endswith("messages"):
        body["max_tokens"] = 100
    if path in GEMINI:
        body = {"contents": [{"role": "user", "parts": [{"text": text}]}]}
    headers = Headers([(b"x-tag", tenant.encode().hex().encode())])
    attributes = {"tenant": tenant, "consumer": tenant}
    query = "alt=sse" if path == GEMINI[1] else ""
    return ClientRequest("POST", path, headers, json.dumps(body).encode(), attributes, query=query)


async def served(mesh: Mesh, asked: ClientRequest) -> tuple[str, str]:
    """What the cache did, and the text of the reply."""
    host = mesh.find(HOST.encode())
    assert host is not None
    delivery = await mesh.asend(host, asked)
    try:
        reply = delivery.reply
        body = b"".join([piece async for piece in delivery]) if reply.is_stream else delivery.take()
        assert reply.status == 200, body
        result = dict(reply.headers)[b"x-llm-mesh-cache"].decode()
        return result, body.decode().replace('"', "")
    finally:
        await delivery.aclose()


@pytest.mark.parametrize(
    "seed", [*range(6), *[pytest.param(n, marks=pytest.mark.slow) for n in range(6, 40)]]
)
async def test_no_response_crosses_from_one_tenant_to_another(
    upstream: FakeUpstream, vectors: FakeUpstream, seed: int
) -> None:
    random = Random(seed)
    openai = {"model": "m", "apiKey": key_of("primary"), "apis": ["chat"]}
    configs = {"defaultConfig": {"openAIConfig": openai}}
    mesh = Mesh(
        (
            provider("primary", upstream, configs=configs),
            provider("vectors", vectors),
            route({"providerHost": "primary.example"}),
            policy(random),
        ),
        settings=MeshSettings(forward_headers=("x-tag",)),
    )
    results = set()
    for _ in range(12):
        tenants = [random.choice(TENANTS) for _ in range(8)]
        asked = [
            request(random, tenant, f"me@{TENANTS.index(tenant)}.example.com") for tenant in tenants
        ]
        for tenant, (result, text) in zip(
            tenants, await asyncio.gather(*(served(mesh, each) for each in asked)), strict=True
        ):
            results.add(result.partition(";")[0])
            assert f"<{tenant}>" in text, "the response of another tenant"
            assert set(re.findall(r"me@(\d)", text)) <= {str(TENANTS.index(tenant))}
    await mesh.aclose()
    assert results == {"hit", "miss"}
