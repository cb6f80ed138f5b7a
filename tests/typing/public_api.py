"""The public interface, used the way users write it; never run, only read by mypy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import assert_type

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import Receive, Scope, Send

from llm_mesh_middleware import (
    ConfigError,
    LLMMeshMiddleware,
    LLMProvider,
    LLMRoute,
    Mesh,
    MeshError,
    MeshSettings,
    Problem,
    RequestError,
    UpstreamError,
    UpstreamTimeout,
)


def facts_about_the_caller(scope: Scope) -> Mapping[str, str]:
    user = scope.get("user")
    return {"plan": getattr(user, "plan", "free")}


def may_use_the_mesh(scope: Scope) -> bool:
    return scope.get("user") is not None


def from_the_environment() -> Starlette:
    app = Starlette()
    app.add_middleware(LLMMeshMiddleware)
    return app


def with_everything_said() -> Starlette:
    app = Starlette(middleware=[Middleware(LLMMeshMiddleware, config="mesh.yaml")])
    app.add_middleware(
        LLMMeshMiddleware,
        config="mesh.yaml",
        attributes=facts_about_the_caller,
        authorize=may_use_the_mesh,
    )
    return app


async def bare_asgi(scope: Scope, receive: Receive, send: Send) -> None:
    mesh = Mesh(config=Path("mesh.yaml"), settings=MeshSettings(labels={"app": "web"}))
    chat = LLMMeshMiddleware(Starlette(), mesh=mesh)
    batch = LLMMeshMiddleware(Starlette(), mesh=mesh, attributes=lambda scope: {"plan": "batch"})

    await chat(scope, receive, send)
    await batch(scope, receive, send)
    assert_type(await mesh.aclose(), None)


def closed_at_once() -> None:
    mesh = Mesh(settings=MeshSettings())
    assert_type(mesh.close(), None)


async def without_a_network(app: Starlette, answer: httpx.Response) -> None:
    mesh = Mesh(["a.yaml", "b.yaml"], transport=httpx.MockTransport(lambda request: answer))
    client = httpx.AsyncClient(transport=httpx.ASGITransport(LLMMeshMiddleware(app, mesh=mesh)))
    await client.post("http://dashscope.aliyuncs.com/v1/chat/completions", json={})


def manifests_in_python(provider: LLMProvider, route: LLMRoute) -> None:
    assert_type(provider.spec.host, str)
    assert_type(route.spec.host, str)
    assert_type(Mesh([provider, route]).settings, MeshSettings)


def every_error_can_be_told_apart(error: MeshError) -> int:
    match error:
        case ConfigError():
            assert_type(error.problems, tuple[Problem, ...])
            return 1
        case UpstreamTimeout():
            assert_type(error.phase, str)
            return error.status
        case RequestError() | UpstreamError():
            assert_type(error.code, str)
            return error.status
        case _:
            return 0
