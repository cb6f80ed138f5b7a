"""An application without an OpenTelemetry SDK of its own: one call sets it up from `OTEL_*`."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware

from llm_mesh_middleware import LLMMeshMiddleware, setup_telemetry


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Telemetry first, so that everything is seen; at the end what is still waiting is sent."""
    end_telemetry = setup_telemetry()
    yield
    end_telemetry()


mesh = Middleware(LLMMeshMiddleware, config=Path(__file__).with_name("mesh.yaml"))
app = Starlette(lifespan=lifespan, middleware=[mesh])
