"""`with mesh.attributes(...)`: facts that a call takes from the context it is made in."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Generator
from typing import Any

import anyio.to_thread
import httpx
import pytest

from llm_mesh_httpx import AsyncMeshTransport, MeshTransport
from llm_mesh_middleware import LLMMeshMiddleware, Mesh
from llm_mesh_middleware.observing import Observation
from tests.outbound.meshes import QUESTION, URL, by_attribute, make_mesh

RULES = (
    by_attribute(plan="pro", tenant="acme"),
    by_attribute(plan="pro"),
    by_attribute(plan="free"),
    {"name": "rest"},
)


@pytest.fixture
def mesh() -> Mesh:
    return make_mesh(*RULES)


def ask(mesh: Mesh) -> str:
    """The rule that a call takes that is made here and now."""
    with httpx.Client(transport=MeshTransport(mesh)) as client:
        return client.post(URL, json=QUESTION).headers["x-llm-mesh-rule"]


async def aask(mesh: Mesh) -> str:
    async with httpx.AsyncClient(transport=AsyncMeshTransport(mesh)) as client:
        return (await client.post(URL, json=QUESTION)).headers["x-llm-mesh-rule"]


def test_facts_hold_inside_and_the_inner_go_before(mesh: Mesh) -> None:
    assert ask(mesh) == "rest"
    with mesh.attributes(plan="pro"):
        assert ask(mesh) == "pro"
        with mesh.attributes(tenant="acme"):
            assert ask(mesh) == "pro-acme"
        with mesh.attributes(plan="free"):
            assert ask(mesh) == "free"
        assert ask(mesh) == "pro"
    assert ask(mesh) == "rest"


def test_facts_end_with_an_exception(mesh: Mesh) -> None:
    with pytest.raises(LookupError), mesh.attributes(plan="pro"):
        raise LookupError
    assert ask(mesh) == "rest"


def test_facts_are_of_one_mesh(mesh: Mesh) -> None:
    other = make_mesh(*RULES)
    with mesh.attributes(plan="pro"), other.attributes(plan="free"):
        assert (ask(mesh), ask(other)) == ("pro", "free")


@pytest.mark.parametrize("value", [1, None, True, b"pro", ["pro"]])
def test_a_fact_that_is_no_text_is_refused_by_name(mesh: Mesh, value: object) -> None:
    with pytest.raises(TypeError, match=f"'plan' is {type(value).__name__}, not str"):
        mesh.attributes(plan=value)  # type: ignore[arg-type]


def test_one_statement_can_be_a_decorator(mesh: Mesh) -> None:
    @mesh.attributes(plan="pro")  # type: ignore[operator]
    def work() -> str:
        return ask(mesh)

    assert [work(), work(), ask(mesh)] == ["pro", "pro", "rest"]


async def test_tasks_have_facts_of_their_own(mesh: Mesh) -> None:
    inside = asyncio.Barrier(2)

    async def work(plan: str) -> str:
        with mesh.attributes(plan=plan):
            await inside.wait()
            return await aask(mesh)

    assert await asyncio.gather(work("pro"), work("free")) == ["pro", "free"]
    assert await aask(mesh) == "rest"


async def test_facts_are_carried_into_tasks_and_threads(mesh: Mesh) -> None:
    with mesh.attributes(plan="pro"):
        task = asyncio.create_task(aask(mesh))
        in_asyncio = await asyncio.to_thread(ask, mesh)
        in_anyio = await anyio.to_thread.run_sync(ask, mesh)
    assert [await task, in_asyncio, in_anyio] == ["pro"] * 3


def test_a_thread_gets_them_with_a_copy_of_the_context(mesh: Mesh) -> None:
    rules: list[str] = []
    with mesh.attributes(plan="pro"):
        run = contextvars.copy_context().run
        carried = threading.Thread(target=run, args=(lambda: rules.append(ask(mesh)),))
        carried.start()
        carried.join(5)
    bare = threading.Thread(target=lambda: rules.append(ask(mesh)))
    bare.start()
    bare.join(5)
    assert rules == ["pro", "rest"]


def test_a_stream_keeps_the_facts_it_was_opened_with(mesh: Mesh) -> None:
    with httpx.Client(transport=MeshTransport(mesh)) as client:
        with mesh.attributes(plan="pro"):
            answer = client.send(client.build_request("POST", URL, json=QUESTION), stream=True)
        assert answer.headers["x-llm-mesh-rule"] == "pro"
        assert answer.read()


def test_a_generator_that_ends_in_another_context_does_not_fail(mesh: Mesh) -> None:
    def dependency() -> Generator[str, None, None]:
        with mesh.attributes(plan="pro"):
            yield ask(mesh)

    given = dependency()
    assert contextvars.copy_context().run(next, given) == "pro"
    contextvars.copy_context().run(given.close)
    assert ask(mesh) == "rest"


async def test_facts_around_an_inbound_adapter_yield_to_what_it_knows(mesh: Mesh) -> None:
    async def inner(scope: object, receive: object, send: object) -> None:
        raise AssertionError("all of it is the mesh's")

    def stated(**own: str) -> httpx.AsyncClient:
        app = LLMMeshMiddleware(inner, mesh=mesh, attributes=lambda scope: own)
        return httpx.AsyncClient(transport=httpx.ASGITransport(app))

    with mesh.attributes(plan="pro"):
        async with stated() as outer, stated(plan="free") as own:
            answers = [await client.post(URL, json=QUESTION) for client in (outer, own)]
    assert [answer.headers["x-llm-mesh-rule"] for answer in answers] == ["pro", "free"]


def test_a_call_that_is_refused_is_told_of_with_its_facts() -> None:
    told: list[tuple[object, ...]] = []

    class Told(Observation):
        def __init__(self, request: Any) -> None:
            self.request = request

        def ended(self, status: int | None, error: BaseException | None, usage: object) -> None:
            told.append((self.request.host, dict(self.request.attributes), status))

    mesh = make_mesh(observer=Told)
    with httpx.Client(transport=MeshTransport(mesh)) as client, mesh.attributes(plan="pro"):
        assert client.post(URL, json=QUESTION, headers={"host": "other.example"}).is_error
    assert told == [("llm", {"plan": "pro"}, 400)]
