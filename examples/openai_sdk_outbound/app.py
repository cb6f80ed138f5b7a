"""The OpenAI SDK, its calls routed by mesh.yaml in this very process."""

from pathlib import Path

import httpx2
from openai import OpenAI

from llm_mesh_httpx.httpx2 import MeshTransport
from llm_mesh_middleware import Mesh

mesh = Mesh(Path(__file__).with_name("mesh.yaml"))
client = OpenAI(
    base_url="http://chat/v1",  # a host that only the mesh knows
    api_key="unused",  # a provider gets the key of mesh.yaml
    http_client=httpx2.Client(transport=MeshTransport(mesh)),
)


def ask(plan: str) -> None:
    """Print an answer as it comes; `plan` is what the application knows of its user."""
    with mesh.attributes(plan=plan):
        stream = client.chat.completions.create(
            model="any",
            messages=[{"role": "user", "content": "Hello"}],
            stream=True,
        )
    for number, chunk in enumerate(stream):
        if number == 0:
            print(f"{plan}, {chunk.model}: ", end="")
        print(chunk.choices[0].delta.content or "", end="", flush=True)
    print()


for plan in ("free", "pro"):
    ask(plan)
client.close()
mesh.close()
