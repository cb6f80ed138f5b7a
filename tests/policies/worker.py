"""A process of a mesh with many callers: `python -m tests.policies.worker PROVIDER STORE CALLERS`.

It makes three calls for each caller, of which a third leaves at random moments; then it prints how
many were served.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from random import random
from typing import Any

from llm_mesh_middleware import LLMPolicy, Mesh, MeshSettings
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware.exceptions import AnswerableError
from tests.resilience.meshes import HOST, PRIMARY, provider, route

BODY = json.dumps({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 100}).encode()
REQUEST = ClientRequest("POST", "/v1/chat/completions", Headers([]), BODY)
TOKENS, OUTPUT = 10_000, 80
REQUEST_S = 30
_PRICES = [{"perMillion": {"input": "0", "output": "1"}}]
_SPEC = {
    "limits": [{"name": "one", "tokens": TOKENS, "per": "1h", "concurrency": 500}],
    "budgets": [{"name": "money", "amount": 1000, "per": "year"}],
}


class At:
    """A provider that another process runs."""

    def __init__(self, url: str) -> None:
        self.url = url


def mesh_of(url: str, store: str) -> Mesh:
    policy = LLMPolicy.model_validate({"metadata": {"name": "team"}, "spec": _SPEC})
    upstream: Any = At(url)
    settings = MeshSettings(store=store, store_timeout=10)  # type: ignore[arg-type]
    rule = route(PRIMARY, timeouts={"request": f"{REQUEST_S}s"})
    documents = (provider("primary", upstream, prices=_PRICES), rule, policy)
    return Mesh(documents, settings=settings)


async def status(mesh: Mesh) -> int:
    host = mesh.find(HOST.encode())
    assert host is not None
    try:
        delivery = await mesh.asend(host, REQUEST)
    except AnswerableError as error:
        return error.status
    await delivery.aclose()
    return delivery.reply.status


async def call(mesh: Mesh, number: int) -> int:
    served = 0
    for turn in range(3):
        task = asyncio.create_task(status(mesh))
        if (number + turn) % 3 == 0:  # a client that leaves
            await asyncio.sleep(random() * 0.05)
            task.cancel()
        with suppress(asyncio.CancelledError):
            served += await task == 200
    return served


async def main(url: str, store: str, callers: int) -> None:
    mesh = mesh_of(url, store)
    served = await asyncio.gather(*(call(mesh, number) for number in range(callers)))
    # A mesh waits a second for its settlements, and a busy machine may need longer.
    await asyncio.to_thread(mesh._parts._own_store.flush, 60)  # type: ignore[union-attr]
    await mesh.aclose()
    mesh.close()
    sys.stdout.write(f"{sum(served)}\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
