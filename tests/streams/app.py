"""The mesh as a process of its own, so that its memory can be looked at.

`python -m tests.streams.app` serves what `LLM_MESH_*` says and prints its port.
"""

from __future__ import annotations

import asyncio
import sys

import uvicorn

from llm_mesh_middleware import LLMMeshMiddleware
from tests.adapters.meshes import own_app


async def main() -> None:
    """Serve until the standard input ends."""
    server = uvicorn.Server(uvicorn.Config(LLMMeshMiddleware(own_app), port=0, log_level="error"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.002)
    sys.stdout.write(f"{server.servers[0].sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    asyncio.run(main())
