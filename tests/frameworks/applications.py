"""One application, written in each framework: routes of its own, a lifespan, a part mounted below.

`GET /` and `GET /inner/own` say where they are, `POST /own` repeats the body behind the plan that
`request.state` holds.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi import Request as FastAPIRequest
from litestar import Litestar, Router, get, post
from litestar import Request as LitestarRequest
from litestar.response import Response as LitestarResponse
from quart import Blueprint, Quart
from quart import request as quart_request
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

__all__ = ["APPLICATIONS", "LIFE", "Login"]

LIFE: list[str] = []


class Login:
    """Stands before the mesh, as an authentication would, and fills `request.state`."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            plan = dict(scope["headers"]).get(b"x-plan", b"free").decode()
            scope = {**scope, "state": {**scope.get("state", {}), "plan": plan}}
        await self._app(scope, receive, send)


@contextlib.asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    """The application's own beginning and end."""
    LIFE.append("begun")
    yield
    LIFE.append("ended")


async def _index(request: Request) -> PlainTextResponse:
    return PlainTextResponse("the application")


async def _own(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{request.state.plan} {(await request.body()).decode()}")


async def _inner(request: Request) -> PlainTextResponse:
    return PlainTextResponse("the inner part")


def starlette() -> Starlette:
    """In Starlette."""
    inner = Starlette(routes=[Route("/own", _inner)])
    own = Route("/own", _own, methods=["POST"])
    return Starlette(routes=[Route("/", _index), own, Mount("/inner", inner)], lifespan=lifespan)


def fastapi() -> FastAPI:
    """In FastAPI."""
    app, inner = FastAPI(lifespan=lifespan), FastAPI()

    @app.get("/", response_class=PlainTextResponse)
    async def index() -> str:
        return "the application"

    @app.post("/own", response_class=PlainTextResponse)
    async def own(request: FastAPIRequest) -> str:
        return f"{request.state.plan} {(await request.body()).decode()}"

    @inner.get("/own", response_class=PlainTextResponse)
    async def inner_own() -> str:
        return "the inner part"

    app.mount("/inner", inner)
    return app


def litestar() -> Litestar:
    """In Litestar, whose parts are routers."""

    @get("/", media_type="text/plain")
    async def index() -> str:
        return "the application"

    @post("/own", media_type="text/plain", status_code=200)
    async def own(request: LitestarRequest[Any, Any, Any]) -> LitestarResponse[str]:
        return LitestarResponse(f"{request.state.plan} {(await request.body()).decode()}")

    @get("/own", media_type="text/plain")
    async def inner_own() -> str:
        return "the inner part"

    inner = Router("/inner", route_handlers=[inner_own])
    return Litestar([index, own, inner], lifespan=[lifespan], logging_config=None)


def quart() -> Quart:
    """In Quart, whose parts are blueprints."""
    app, inner = Quart(__name__), Blueprint("inner", __name__)

    @app.while_serving
    async def life() -> AsyncIterator[None]:
        async with lifespan(app):
            yield

    @app.get("/")
    async def index() -> str:
        return "the application"

    @app.post("/own")
    async def own() -> str:
        plan = quart_request.scope["state"]["plan"]
        return f"{plan} {(await quart_request.get_data()).decode()}"

    @inner.get("/own")
    async def inner_own() -> str:
        return "the inner part"

    app.register_blueprint(inner, url_prefix="/inner")
    return app


APPLICATIONS: Mapping[str, Callable[[], Any]] = {
    "FastAPI": fastapi,
    "Starlette": starlette,
    "Litestar": litestar,
    "Quart": quart,
}
