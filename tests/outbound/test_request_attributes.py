"""Attributes of a request that an application serves hold for the calls that it makes meanwhile."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from llm_mesh_httpx import AsyncMeshTransport, MeshTransport
from llm_mesh_middleware import LLMMeshMiddleware, LLMMeshWSGIMiddleware, Mesh
from tests.outbound.meshes import QUESTION, URL, make_mesh

PRO = {"name": "pro", "matches": [{"attributes": {"plan": {"exact": "pro"}}}]}
FREE = {"name": "free", "matches": [{"attributes": {"plan": {"exact": "free"}}}]}


@pytest.fixture
def mesh() -> Iterator[Mesh]:
    mesh = make_mesh(PRO, FREE, {"name": "rest"})
    yield mesh
    mesh.close()


async def asked(mesh: Mesh) -> str:
    async with httpx.AsyncClient(transport=AsyncMeshTransport(mesh)) as client:
        return str((await client.post(URL, json=QUESTION)).headers["x-llm-mesh-rule"])


def asked_in_thread(mesh: Mesh) -> str:
    with httpx.Client(transport=MeshTransport(mesh)) as client:
        return str(client.post(URL, json=QUESTION).headers["x-llm-mesh-rule"])


def plan_of(scope: Any) -> dict[str, str]:
    return {"plan": scope["state"]["plan"]}


async def plan_of_later(scope: Any) -> dict[str, str]:
    await asyncio.sleep(0)
    return plan_of(scope)


async def in_the_endpoint(mesh: Mesh, request: Request) -> Response:
    return PlainTextResponse(await asked(mesh))


async def in_a_stream(mesh: Mesh, request: Request) -> Response:
    async def pieces() -> AsyncIterator[str]:
        yield await asked(mesh)

    return StreamingResponse(pieces())


async def in_a_task(mesh: Mesh, request: Request) -> Response:
    return PlainTextResponse(await asyncio.create_task(asked(mesh)))


async def in_a_thread(mesh: Mesh, request: Request) -> Response:
    return PlainTextResponse(await run_in_threadpool(asked_in_thread, mesh))


def application(mesh: Mesh, endpoint: Callable[..., Awaitable[Response]], attributes: Any) -> Any:
    async def serve(request: Request) -> Response:
        # An inner middleware knows the plan, such as one that authenticates.
        request.scope["state"]["plan"] = request.headers["plan"]
        return await endpoint(mesh, request)

    app = Starlette(routes=[Route("/", serve)])
    app.add_middleware(LLMMeshMiddleware, mesh=mesh, attributes=attributes)

    async def with_state(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "state": {}}, receive, send)

    return with_state


def calling(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app")


@pytest.mark.parametrize("plan", ["pro", "free", "none"])
@pytest.mark.parametrize("endpoint", [in_the_endpoint, in_a_stream, in_a_task, in_a_thread])
async def test_they_hold_wherever_the_call_is_made(
    mesh: Mesh, endpoint: Callable[..., Awaitable[Response]], plan: str
) -> None:
    app = application(mesh, endpoint, plan_of)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://app"
    ) as client:
        answer = await client.get("/", headers={"plan": plan})
    assert answer.text == (plan if plan != "none" else "rest")


async def test_a_coroutine_function_may_return_them(mesh: Mesh) -> None:
    app = application(mesh, in_a_stream, plan_of_later)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://app"
    ) as client:
        assert (await client.get("/", headers={"plan": "pro"})).text == "pro"


async def test_requests_at_once_have_their_own(mesh: Mesh) -> None:
    app = application(mesh, in_a_stream, plan_of)
    plans = ["pro", "free"] * 10
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://app"
    ) as client:
        answers = await asyncio.gather(*(client.get("/", headers={"plan": plan}) for plan in plans))
    assert [answer.text for answer in answers] == plans


async def test_what_is_stated_inside_overrides_them(mesh: Mesh) -> None:
    async def endpoint(mesh: Mesh, request: Request) -> Response:
        with mesh.attributes(plan="free"):
            return PlainTextResponse(await asked(mesh))

    app = application(mesh, endpoint, plan_of)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://app"
    ) as client:
        assert (await client.get("/", headers={"plan": "pro"})).text == "free"


async def test_outside_a_request_there_are_none(mesh: Mesh) -> None:
    app = application(mesh, in_the_endpoint, plan_of)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://app"
    ) as client:
        await client.get("/", headers={"plan": "pro"})
    assert await asked(mesh) == "rest"


@pytest.mark.parametrize("is_streamed", [False, True])
def test_they_hold_under_wsgi(mesh: Mesh, is_streamed: bool) -> None:
    closed: list[str] = []

    class Pieces:
        """A response whose pieces are made when the server asks for them."""

        def __iter__(self) -> Iterator[bytes]:
            yield asked_in_thread(mesh).encode()

        def close(self) -> None:
            closed.append(asked_in_thread(mesh))

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return Pieces() if is_streamed else [asked_in_thread(mesh).encode()]

    middleware = LLMMeshWSGIMiddleware(
        app, mesh=mesh, attributes=lambda environ: {"plan": environ["HTTP_PLAN"]}
    )

    def serve(plan: str) -> bytes:
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/",
            "HTTP_HOST": "app",
            "HTTP_PLAN": plan,
        }
        response: Any = middleware(environ, lambda *_: None)
        try:
            return b"".join(response)
        finally:
            if hasattr(response, "close"):
                response.close()

    for plan in ("pro", "free"):
        assert contextvars.copy_context().run(serve, plan) == plan.encode()
        assert serve(plan) == plan.encode()
    assert asked_in_thread(mesh) == "rest"
    assert closed == (["pro", "pro", "free", "free"] if is_streamed else [])
