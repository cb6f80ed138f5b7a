"""The public interface, used the way users write it; never run, only read by mypy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import assert_type

import httpx
import httpx2
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import Receive, Scope, Send

import llm_mesh_httpx
import llm_mesh_httpx.httpx2
from llm_mesh_kubernetes import KubernetesSource
from llm_mesh_middleware import (
    AnswerableError,
    ConfigError,
    Explanation,
    LLMMeshMiddleware,
    LLMProvider,
    LLMRoute,
    Mesh,
    MeshError,
    MeshSettings,
    MeshStatus,
    Problem,
    RequestError,
    UpstreamError,
    UpstreamTimeout,
)
from llm_mesh_middleware.explain import read_body, read_header
from llm_mesh_middleware.observing import (
    ClientRequest,
    Failure,
    Observation,
    Observer,
    ResponseHead,
    Selection,
    Usage,
)
from llm_mesh_middleware.testing import MemoryUpstream, assert_routed
from llm_mesh_pytest.client import MakeClient, MeshClient


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


def reloaded(mesh: Mesh, middleware: LLMMeshMiddleware) -> tuple[Problem, ...]:
    assert_type(mesh.reload(), MeshStatus)
    assert_type(middleware.interrupt(), None)
    return mesh.status().problems


def manifests_in_python(provider: LLMProvider, route: LLMRoute) -> None:
    assert_type(provider.spec.host, str)
    assert_type(route.spec.host, str)
    assert_type(Mesh([provider, route]).settings, MeshSettings)


def asked_why(mesh: Mesh) -> str:
    told = mesh.explain(
        "dashscope.aliyuncs.com",
        path="/v1/chat/completions",
        headers=[read_header("user-type: subscriber")],
        attributes={"plan": "free"},
        body=read_body('{"model": "any"}'),
    )
    assert_type(told, Explanation)
    assert_type(told.backends[0].share, float)
    assert_type(told.as_dict(), dict[str, object])
    return told.to_text() if told.is_served else ""


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


def calls_of_ones_own(mesh: Mesh) -> httpx.Client:
    with mesh.attributes(plan="pro", tenant="acme"):
        assert_type(llm_mesh_httpx.MeshTransport("mesh.yaml").mesh, Mesh)
    return httpx.Client(transport=llm_mesh_httpx.MeshTransport(mesh))


async def calls_through_httpx2(mesh: Mesh) -> httpx2.AsyncClient:
    transport = llm_mesh_httpx.httpx2.AsyncMeshTransport(
        mesh, transport=httpx2.AsyncHTTPTransport(retries=1)
    )
    return httpx2.AsyncClient(transport=transport)


def from_a_cluster() -> Mesh:
    source = KubernetesSource("team", kubeconfig=Path("kubeconfig"), write_status=False)
    source.close()
    return Mesh(source)


def test_of_a_user(llm_mesh: MakeClient, llm_upstream: MemoryUpstream) -> None:
    client = llm_mesh(Path("mesh.yaml"), namespace="tests")
    assert_type(client, MeshClient)
    with client.mesh.attributes(plan="pro"):
        assert_routed(client.post("http://chat/", json={}), rule="pro")
    assert_type(llm_upstream.requests[0].path, str)


def a_mesh_with_keys_of_its_own() -> Mesh:
    return Mesh("mesh.yaml", transport=MemoryUpstream(), environ={"KEY": "made-up"})


class Failures(Observation):
    """An observer of the application's own: which attempts failed."""

    def __init__(self, request: ClientRequest, failed: list[str]) -> None:
        self._host = request.host
        self._failed = failed

    def selected(self, selection: Selection) -> None:
        assert_type(selection.rule, str)

    def answered(self, attempt: int, answer: ResponseHead | Failure) -> None:
        if isinstance(answer, Failure):
            self._failed.append(f"{self._host}: {answer.error.code}")

    def ended(self, status: int | None, error: BaseException | None, usage: Usage | None) -> None:
        if isinstance(error, AnswerableError):
            self._failed.append(error.message)


def with_an_observer(failed: list[str]) -> Mesh:
    def observe(request: ClientRequest) -> Observation:
        return Failures(request, failed)

    observer: Observer = observe
    return Mesh("mesh.yaml", observer=observer)
