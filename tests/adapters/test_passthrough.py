"""Traffic that is not the mesh's reaches the application untouched."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from llm_mesh_middleware import LLMMeshMiddleware, LLMProvider
from tests.adapters.meshes import OWN_ANSWER, own_app
from tests.adapters.wire import CHAT, Connect, request_bytes
from tests.conftest import DASHSCOPE, DASHSCOPE_KEY, DEMO, Providers, Serve

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Recorder:
    """An application that only remembers what it was called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, object, object]] = []

    async def __call__(self, scope: object, receive: object, send: object) -> None:
        self.calls.append((scope, receive, send))


async def receive() -> dict[str, object]:
    return {"type": "http.disconnect"}


async def send(message: MutableMapping[str, object]) -> None:
    """Take anything."""


def http_scope(*hosts: bytes, path: str = "/", kind: str = "http", **more: object) -> Scope:
    return {
        "type": kind,
        "method": "POST",
        "path": path,
        "http_version": "1.1",
        "headers": [(b"host", host) for host in hosts],
        "client": ("127.0.0.1", 1),
        **more,
    }


FOREIGN = {
    "http": http_scope(b"app.example"),
    "http with a port": http_scope(b"app.example:8000"),
    "websocket": http_scope(b"app.example", kind="websocket"),
    "no host": http_scope(),
    "two foreign hosts": http_scope(b"app.example", b"other.example"),
    "an absolute target": http_scope(b"app.example", path="http://app.example/"),
    "an asterisk": http_scope(b"app.example", path="*", method="OPTIONS"),
    "a path that looks absolute later": http_scope(b"app.example", path=f"/http://{DEMO}/"),
    "a target that is no URL": http_scope(b"app.example", path=f"ftp://{DEMO}/"),
    "an empty host": http_scope(b""),
    "a root path": http_scope(b"app.example", path="/api/x", root_path="/api"),
    "a protocol without a host": {"type": "channel", "channel": "thumbnails"},
    "an extension": http_scope(b"app.example", extensions={"http.response.push": {}}),
}


@pytest.mark.parametrize("scope", FOREIGN.values(), ids=FOREIGN)
async def test_a_foreign_request_reaches_the_app_as_the_very_same_objects(
    providers: Providers, scope: Scope
) -> None:
    app = Recorder()
    before = dict(scope)
    await LLMMeshMiddleware(app, settings=providers.settings())(scope, receive, send)

    [call] = app.calls
    assert call[0] is scope
    assert call[1] is receive
    assert call[2] is send
    assert scope == before


async def test_lifespan_reaches_the_app_with_the_same_scope_and_messages(
    providers: Providers,
) -> None:
    seen: list[object] = []
    startup = {"type": "lifespan.startup"}
    scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}

    async def receive() -> dict[str, str]:
        return startup

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend((scope, await receive()))
        await send({"type": "lifespan.startup.failed"})

    await LLMMeshMiddleware(app, settings=providers.settings())(scope, receive, send)

    assert seen[0] is scope
    assert seen[1] is startup


async def test_lifespan_is_completed_for_an_app_that_takes_no_part(providers: Providers) -> None:
    sent: list[object] = []
    phases = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> dict[str, object]:
        return {"type": next(phases)}

    async def send(message: MutableMapping[str, object]) -> None:
        sent.append(message["type"])

    mesh = LLMMeshMiddleware(Recorder(), settings=providers.settings())
    await mesh({"type": "lifespan"}, receive, send)

    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@pytest.mark.parametrize("has_asked", [False, True])
async def test_a_refused_lifespan_is_completed_and_a_failed_start_up_fails(
    providers: Providers, *, has_asked: bool
) -> None:
    sent: list[object] = []
    phases = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> dict[str, object]:
        return {"type": next(phases)}

    async def send(message: MutableMapping[str, object]) -> None:
        sent.append(message["type"])

    async def app(scope: Scope, receive: Receive, _: object) -> None:
        if has_asked:
            await receive()
        raise TypeError(f"not for {scope['type']}")

    mesh = LLMMeshMiddleware(app, settings=providers.settings())
    if has_asked:
        with pytest.raises(TypeError, match="not for lifespan"):
            await mesh({"type": "lifespan"}, receive, send)
        assert sent == []
    else:
        await mesh({"type": "lifespan"}, receive, send)
        assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_an_exception_of_the_app_passes_unchanged(providers: Providers) -> None:
    error = RuntimeError("the application's own")

    async def app(*_: object) -> None:
        raise error

    with pytest.raises(RuntimeError) as raised:
        await LLMMeshMiddleware(app, settings=providers.settings())(
            http_scope(b"app.example"), receive, send
        )
    assert raised.value is error


def other_mesh(app: Any, providers: Providers) -> LLMMeshMiddleware:
    """A mesh with a virtual host of its own, behind which stands the dashscope provider."""
    spec = {
        "host": "inner.example",
        "path": "/v1/chat/completions",
        "endpoint": providers.dashscope.url,
        "tls": {"serverName": DASHSCOPE},
        "configs": {"defaultConfig": {"openAIConfig": {"model": "m", "apiKey": DASHSCOPE_KEY}}},
    }
    document = {
        "apiVersion": "istio.alibabacloud.com/v1",
        "kind": "LLMProvider",
        "metadata": {"name": "inner"},
        "spec": spec,
    }
    return LLMMeshMiddleware(
        app,
        config=[LLMProvider.model_validate(document)],
        settings=providers.settings(config=()),
    )


async def test_through_three_middlewares_the_objects_are_still_the_same(
    providers: Providers,
) -> None:
    app = Recorder()
    inner = other_mesh(app, providers)
    same = LLMMeshMiddleware(inner, settings=providers.settings())
    scope = http_scope(b"app.example")
    await LLMMeshMiddleware(same, mesh=same.mesh)(scope, receive, send)

    assert [tuple(map(id, call)) for call in app.calls] == [(id(scope), id(receive), id(send))]


async def test_stacked_middlewares_serve_their_own_hosts(providers: Providers) -> None:
    inner = other_mesh(own_app, providers)
    outer = LLMMeshMiddleware(inner, settings=providers.settings())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(outer)) as client:
        answers = [
            await client.post(f"http://{host}/", content=CHAT)
            for host in (DASHSCOPE, "inner.example", "app.example")
        ]
    await outer.mesh.aclose()
    await inner.mesh.aclose()

    assert [answer.headers.get("x-llm-mesh-provider") for answer in answers] == [
        "dashscope-qwen",
        "inner",
        None,
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert answers[2].content == OWN_ANSWER
    assert [request.header("host") for request in providers.dashscope.requests] == [
        DASHSCOPE,
        "inner.example",
    ]


async def home(request: Request) -> JSONResponse:
    return JSONResponse({"path": request.url.path, "body": (await request.body()).decode()})


def test_starlette_keeps_its_own_routes_and_gives_the_virtual_hosts_away(
    providers: Providers, serve: Serve, connect: Connect, server: str
) -> None:
    app = Starlette(routes=[Route("/v1/chat/completions", home, methods=["POST"])])
    app.add_middleware(LLMMeshMiddleware, settings=providers.settings())
    client = connect(serve(app, server))

    own = client.ask(request_bytes("app.example", b"hello"))
    assert own.json() == {"path": "/v1/chat/completions", "body": "hello"}
    assert own.header("x-llm-mesh-provider") is None
    mesh = client.ask(request_bytes(DASHSCOPE))
    assert mesh.json()["choices"][0]["message"]["content"] == "You said: Good morning to you"
    assert mesh.header("x-llm-mesh-provider") == "dashscope-qwen"
    assert len(providers.requests) == 1


def test_fastapi_keeps_its_own_routes_and_gives_the_virtual_hosts_away(
    providers: Providers, serve: Serve, connect: Connect
) -> None:
    fastapi = pytest.importorskip("fastapi")
    app = fastapi.FastAPI()

    @app.get("/items/{number}")
    async def item(number: int) -> dict[str, int]:
        return {"number": number}

    app.add_middleware(LLMMeshMiddleware, settings=providers.settings())
    client = connect(serve(app))

    own = client.ask(request_bytes("app.example", method="GET", target="/items/7"))
    assert own.json() == {"number": 7}
    assert client.ask(request_bytes(DASHSCOPE)).status == 200
    assert len(providers.requests) == 1


MOUNTED = (
    ("/llm/", "/compatible-mode/v1/chat/completions"),
    ("/llm/v1/chat/completions", "/compatible-mode/v1/chat/completions"),
    ("/llm/v1/embeddings", "/compatible-mode/v1/embeddings"),
)


@pytest.mark.parametrize(("path", "sent_to"), MOUNTED)
async def test_under_a_mount_the_path_below_the_mount_counts(
    providers: Providers, path: str, sent_to: str
) -> None:
    mesh = LLMMeshMiddleware(own_app, settings=providers.settings())
    app = Starlette(routes=[Mount("/llm", mesh)])
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "input": "x"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        answer = await client.post(f"http://{DASHSCOPE}{path}", json=body)
    await mesh.mesh.aclose()

    assert (answer.status_code, [request.target for request in providers.dashscope.requests]) == (
        200,
        [sent_to],
    )


@pytest.mark.parametrize("target", ["/v1/embeddings", f"http://{DASHSCOPE}/v1/embeddings"])
async def test_a_root_path_of_the_server_is_no_part_of_the_operation(
    providers: Providers, target: str
) -> None:
    mesh = LLMMeshMiddleware(own_app, settings=providers.settings())
    sent: list[MutableMapping[str, Any]] = []

    messages = asyncio.Queue[dict[str, object]]()
    messages.put_nowait({"type": "http.request", "body": b'{"model":"m","input":"x"}'})

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = http_scope(DASHSCOPE.encode(), path="/api" + target, root_path="/api")
    await mesh(scope, messages.get, send)
    await mesh.mesh.aclose()

    assert sent[0]["status"] == 200
    assert [r.target for r in providers.dashscope.requests] == ["/compatible-mode/v1/embeddings"]
