"""A mesh for one provider, an observer that remembers, and calls without an adapter around them."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field

from llm_mesh_middleware import LLMProvider, Mesh, MeshSettings
from llm_mesh_middleware._core.flow.observer import Observation
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware._core.values.usage import Usage
from llm_mesh_middleware._engine.drivers.async_driver import AsyncDelivery
from llm_mesh_middleware.testing import FakeUpstream
from tests.engine.calls import HOST, KEY

QUESTION = {"messages": [{"role": "user", "content": "Good morning"}]}


@dataclass
class Recorder(Observation):
    """What became of one exchange; `ended` must be called once."""

    endings: list[tuple[int | None, type[BaseException] | None]] = field(default_factory=list)

    def ended(self, status: int | None, error: BaseException | None, usage: Usage | None) -> None:
        self.endings.append((status, None if error is None else type(error)))


class Recorders(list[Recorder]):
    """An observer: one recorder for each exchange."""

    def __call__(self, request: ClientRequest) -> Observation:
        self.append(Recorder())
        return self[-1]

    @property
    def endings(self) -> list[tuple[int | None, type[BaseException] | None]]:
        """The endings of all exchanges; as many as exchanges, if each ended once."""
        return [ending for recorder in self for ending in recorder.endings]


def provider(**config: object) -> LLMProvider:
    """The provider `llm.example`, with a key."""
    return LLMProvider.model_validate(
        {
            "metadata": {"name": "example"},
            "spec": {
                "host": HOST,
                "path": "/v1/chat/completions",
                "configs": {"defaultConfig": {"openAIConfig": {"model": "m", "apiKey": KEY}}},
                **config,
            },
        }
    )


def settings_for(upstream: FakeUpstream, ca_file: str, **overrides: object) -> MeshSettings:
    """Settings that lead `llm.example` to the upstream."""
    values: dict[str, object] = {"endpoints": upstream.endpoints, "ca_file": ca_file}
    return MeshSettings(**(values | overrides))  # type: ignore[arg-type]


async def open_chat(
    mesh: Mesh, host: str = HOST, *, body: bytes | None = None, **members: object
) -> AsyncDelivery:
    """Send a chat to a virtual host; the caller closes what it gets."""
    found = mesh.find(host.encode())
    assert found is not None
    payload = json.dumps(QUESTION | members).encode() if body is None else body
    headers = Headers([(b"host", host.encode()), (b"content-type", b"application/json")])
    return await mesh.asend(found, ClientRequest("POST", "/", headers, payload))


async def chat(
    mesh: Mesh, host: str = HOST, *, body: bytes | None = None, **members: object
) -> tuple[int, bytes]:
    """Send a chat and read the answer to its end, as an adapter does."""
    delivery = await open_chat(mesh, host, body=body, **members)
    try:
        async with contextlib.aclosing(aiter(delivery)) as parts:
            received = [data async for data in parts]
    finally:
        await delivery.aclose()
    return delivery.reply.status, b"".join(received)
