"""A process with many equal requests: `python -m tests.policies.caller PROVIDER STORE CALLERS`.

It prints `ready`, waits for a line, asks all at once, and prints what the cache did for how many.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import Any

from llm_mesh_middleware import LLMPolicy, Mesh, MeshSettings
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from tests.policies.worker import At
from tests.resilience.meshes import HOST, PRIMARY, provider, route

CACHE = {"metadata": {"name": "team"}, "spec": {"cache": {"vary": []}}}


def caching(url: str, store: str) -> Mesh:
    """A mesh whose responses are kept in a store that is waited for on a busy machine too."""
    upstream: Any = At(url)
    documents = (
        provider("primary", upstream),
        route(PRIMARY, retry={"attempts": 1}),
        LLMPolicy.model_validate(CACHE),
    )
    return Mesh(documents, settings=MeshSettings(cache_store=store, store_timeout=10))  # type: ignore[arg-type]


def request(text: str, *, is_stream: bool = False) -> ClientRequest:
    """A request that says so."""
    body = {"messages": [{"role": "user", "content": text}], "stream": is_stream}
    return ClientRequest("POST", "/v1/chat/completions", Headers(()), json.dumps(body).encode())


async def asked(mesh: Mesh, *, is_stream: bool = False, text: str = "What is a mesh?") -> str:
    """What the cache did, or the status of an error."""
    host = mesh.find(HOST.encode())
    assert host is not None
    delivery = await mesh.asend(host, request(text, is_stream=is_stream))
    try:
        async for _ in delivery:
            pass
        if delivery.reply.status != 200:
            return str(delivery.reply.status)
        return dict(delivery.reply.headers)[b"x-llm-mesh-cache"].decode()
    finally:
        await delivery.aclose()


def asked_in_thread(mesh: Mesh) -> str:
    """What the cache did for a request of a thread."""
    host = mesh.find(HOST.encode())
    assert host is not None
    delivery = mesh.send(host, request("What is a mesh?"))
    try:
        assert b"".join(delivery)
        return dict(delivery.reply.headers)[b"x-llm-mesh-cache"].decode()
    finally:
        delivery.close()


async def main(url: str, store: str, callers: int) -> None:
    mesh = caching(url, store)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    told = await asyncio.gather(*(asked(mesh, is_stream=n % 2 == 1) for n in range(callers)))
    await mesh.aclose()
    mesh.close()
    sys.stdout.write(json.dumps(Counter(told)) + "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
