"""The middleware on uvicorn in a process of its own: `python -m tests.soak.app`."""

from __future__ import annotations

import asyncio

import uvicorn
import uvloop

from llm_mesh_middleware import LLMMeshMiddleware
from tests.benchmarks.apps import bare
from tests.soak.inside import watch


def main() -> None:
    """Serve what `LLM_MESH_*` says until killed."""
    watch()
    app = LLMMeshMiddleware(bare.make())
    server = uvicorn.Server(uvicorn.Config(app, port=0, access_log=False, backlog=4096))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve())


if __name__ == "__main__":
    main()
