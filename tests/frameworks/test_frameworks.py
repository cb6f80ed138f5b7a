"""Frameworks on ASGI with the middleware as it is: what is the mesh's, what is their own."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette

from llm_mesh_middleware import LLMMeshMiddleware, Mesh, MeshSettings
from llm_mesh_middleware.testing import (
    FakeUpstream,
    Gate,
    MemoryUpstream,
    Stream,
    assert_routed,
    chat_stream,
)
from tests.adapters.wire import CHAT, QUESTION, STREAMED_CHAT, Client, request_bytes
from tests.conftest import DASHSCOPE, DASHSCOPE_KEY, Providers, running
from tests.frameworks.applications import APPLICATIONS, LIFE, Login
from tests.frameworks.conftest import PROVIDER, ROUTE, lines_of_the_page, with_mesh

EVENTS = chat_stream(["Good ", "morning"], include_usage=False)


def test_the_readme_has_a_line_for_every_framework() -> None:
    assert set(APPLICATIONS) <= set(lines_of_the_page())


@pytest.mark.parametrize("target", ["/", "/v1/chat/completions"])
def test_a_virtual_host_is_served_whatever_routes_the_application_has(
    client: Client, providers: Providers, target: str
) -> None:
    answer = client.ask(request_bytes("chat", target=target))

    assert (answer.status, answer.json()["object"]) == (200, "chat.completion")
    (seen,) = providers.dashscope.requests
    assert seen.header("authorization") == f"Bearer {DASHSCOPE_KEY}"


@pytest.mark.parametrize(("plan", "model"), [("free", "m-free"), ("pro", "m-pro")])
def test_what_request_state_holds_decides_about_the_route(
    client: Client, providers: Providers, plan: str, model: str
) -> None:
    answer = client.ask(request_bytes("chat", CHAT, f"X-Plan: {plan}"))

    assert answer.header("x-llm-mesh-rule") == plan
    assert providers.dashscope.requests[0].json()["model"] == model


def test_an_event_arrives_while_the_provider_holds_the_next_one_back(
    client: Client, providers: Providers
) -> None:
    gate = Gate()
    providers.dashscope.script(Stream([EVENTS[0], gate, *EVENTS[1:]]))
    client.send(request_bytes("chat", STREAMED_CHAT))
    pieces = iter(client.read_body(client.read_head()))

    first = next(pieces)
    assert not gate.is_open
    gate.open()
    assert (first, first + b"".join(pieces)) == (EVENTS[0], b"".join(EVENTS))


def test_a_client_that_leaves_closes_the_provider_s_connection(
    client: Client, providers: Providers
) -> None:
    providers.dashscope.script(Stream([EVENTS[0], Gate()]))
    client.send(request_bytes("chat", STREAMED_CHAT))
    next(iter(client.read_body(client.read_head())))
    client.reset()

    assert providers.dashscope.requests[0].wait_disconnected()


@pytest.mark.parametrize(
    ("request_line", "answer"),
    [
        ({"method": "GET", "target": "/"}, b"the application"),
        ({"method": "GET", "target": "/inner/own"}, b"the inner part"),
        ({"target": "/own"}, b"free " + CHAT),
    ],
)
def test_what_is_not_the_mesh_s_is_the_application_s(
    client: Client, providers: Providers, request_line: dict[str, str], answer: bytes
) -> None:
    response = client.ask(request_bytes("app.example", **request_line))

    assert (response.status, response.body) == (200, answer)
    assert response.header("x-llm-mesh-attempts") is None
    assert providers.requests == []


def test_the_application_s_own_404_stays(client: Client) -> None:
    assert client.ask(request_bytes("app.example", target="/nowhere")).status == 404


@pytest.mark.parametrize("framework", APPLICATIONS)
def test_the_application_has_its_lifespan_and_the_mesh_ends_with_it(framework: str) -> None:
    LIFE.clear()
    with FakeUpstream(host_names=DASHSCOPE, tls=False) as upstream:
        mesh = Mesh([PROVIDER, ROUTE], settings=MeshSettings(endpoints=upstream.endpoints))
        app = Login(with_mesh(framework, mesh))
        with running(app, "uvicorn-httptools") as port, Client(port) as client:
            assert client.ask(request_bytes("chat")).status == 200
            assert (LIFE, upstream.open_connections) == (["begun"], 1)

        assert LIFE == ["begun", "ended"]
        assert upstream.wait_closed()


@pytest.mark.parametrize("framework", ["FastAPI", "Starlette"])
@pytest.mark.parametrize("path", ["/llm/", "/llm/v1/chat/completions"])
async def test_the_mesh_may_be_mounted_below_a_path(framework: str, path: str) -> None:
    upstream = MemoryUpstream()
    mesh = Mesh([PROVIDER, ROUTE], transport=upstream)
    app = APPLICATIONS[framework]()
    app.mount("/llm", LLMMeshMiddleware(Starlette(), mesh=mesh))

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        answer = await client.post(f"http://chat{path}", json=QUESTION)
        other = await client.get(f"http://app.example{path}")

    assert_routed(answer, rule="free", model="m-free")
    assert (answer.status_code, other.status_code) == (200, 404)
    assert upstream.requests[0].path == "/compatible-mode/v1/chat/completions"
