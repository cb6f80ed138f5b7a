"""`Mesh.explain` against what the same mesh then does."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from llm_mesh_middleware import Explanation, LLMMeshMiddleware, Mesh, MeshSettings
from tests.canaries import canary
from tests.conftest import DASHSCOPE, DASHSCOPE_KEY, DEMO, MANIFESTS, MOONSHOT_KEY

CLIENT_KEY = canary("client of engine")

REQUESTS: list[tuple[str, str, dict[str, str], dict[str, object] | None]] = [
    (DASHSCOPE, "/", {}, {"messages": []}),
    (DASHSCOPE, "/", {"user-type": "subscriber"}, {"messages": [], "model": "mine"}),
    (DASHSCOPE, "/v1/chat/completions", {"user-agent": "me/1"}, {"stream": True}),
    (DASHSCOPE, "/v1/embeddings", {"openai-organization": "o"}, {"input": "a", "model": "e"}),
    (DEMO, "/", {"cookie": "c", "authorization": "Bearer x"}, {"stream": True, "n": 1}),
]


def make_mesh(seen: list[httpx.Request], **settings: object) -> Mesh:
    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"choices": []})

    return Mesh(
        settings=MeshSettings(config=(str(MANIFESTS),), **settings),  # type: ignore[arg-type]
        transport=httpx.MockTransport(answer),
    )


@pytest.mark.parametrize(("host", "path", "headers", "body"), REQUESTS)
async def test_what_is_explained_is_what_happens(
    host: str, path: str, headers: dict[str, str], body: dict[str, object] | None
) -> None:
    seen: list[httpx.Request] = []
    mesh = make_mesh(seen)
    data = b"" if body is None else json.dumps(body).encode()
    told = mesh.explain(host, path=path, headers=headers.items(), body=data)

    transport = httpx.ASGITransport(LLMMeshMiddleware(Starlette(), mesh=mesh))
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
        client.headers.clear()
        answer = await client.request(told.method, path, headers=headers, content=data)

    (sent,) = seen
    assert answer.headers["x-llm-mesh-rule"] == told.rule
    assert answer.headers["x-llm-mesh-route"] == told.route
    provider = answer.headers["x-llm-mesh-provider"]
    (backend,) = [one for one in told.backends if one.provider == provider]
    assert (sent.method, str(sent.url)) == (backend.method, backend.url)
    assert answer.headers["x-llm-mesh-model"] == (backend.model or "")
    names = [name for name in sent.headers if name not in ("content-length", "traceparent")]
    assert names == [name for name, _ in backend.headers]
    _assert_body(sent.content, body, backend.body)
    assert DASHSCOPE_KEY not in told.to_text() + repr(told) + json.dumps(told.as_dict())
    assert MOONSHOT_KEY not in told.to_text() + repr(told) + json.dumps(told.as_dict())


def _assert_body(sent: bytes, asked: dict[str, object] | None, changes: object) -> None:
    if asked is None:
        assert (sent, changes) == (b"", ())
        return
    expected = dict(asked)
    for change in changes:  # type: ignore[attr-defined]
        if change.action == "removed":
            del expected[change.name]
        else:
            expected[change.name] = json.loads(change.value)
    assert json.loads(sent) == expected


async def test_an_explained_list_of_models_is_the_one_that_is_sent() -> None:
    mesh = make_mesh([])
    transport = httpx.ASGITransport(LLMMeshMiddleware(Starlette(), mesh=mesh))
    headers = {"user-type": "subscriber"}
    told = mesh.explain(DASHSCOPE, path="/v1/models", headers=headers.items())
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{DASHSCOPE}") as client:
        answer = await client.get("/v1/models", headers=headers)
    assert told.is_served
    assert tuple(model["id"] for model in answer.json()["data"]) == told.models
    assert f"{', '.join(told.models)}; no provider is asked" in told.to_text()


def test_nothing_is_sent_to_explain() -> None:
    seen: list[httpx.Request] = []
    mesh = make_mesh(seen)
    told = mesh.explain(DASHSCOPE)
    assert isinstance(told, Explanation)
    assert (told.is_served, seen, dict(mesh.health())) == (True, [], {})


def test_a_host_may_be_written_as_a_host_field_has_it() -> None:
    assert make_mesh([]).explain(f"{DASHSCOPE.upper()}.:80").virtual_host == DASHSCOPE


def test_a_query_is_no_part_of_the_path() -> None:
    told = make_mesh([]).explain(DASHSCOPE, path="/v1/models?a=b")
    assert (told.path, told.operation) == ("/v1/models", "models")


def test_a_client_key_names_the_consumer_and_is_not_repeated() -> None:
    mesh = make_mesh([], client_keys={"team-a": CLIENT_KEY})
    headers = [("Authorization", f"Bearer {CLIENT_KEY}"), ("user-agent", CLIENT_KEY)]
    told = mesh.explain(DASHSCOPE, headers=headers)
    assert CLIENT_KEY not in told.to_text() + repr(told) + json.dumps(told.as_dict())
    assert "user-agent: ***" in told.to_text()


@pytest.mark.parametrize("argument", [{"headers": {"a": "b"}}, {"body": '{"model": "m"}'}])
def test_a_request_in_another_form_is_an_error_that_says_so(argument: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="headers must be pairs .*, and body must be bytes"):
        make_mesh([]).explain(DEMO, **argument)
