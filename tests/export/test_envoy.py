"""The six manifests in a real Envoy: requests and responses are those of the mesh."""

from __future__ import annotations

import json
import re
import time
from contextlib import closing
from typing import Any

import httpx
import pytest

from llm_mesh_httpx import MeshTransport
from llm_mesh_middleware import Mesh
from llm_mesh_middleware.testing import Answer, FakeUpstream, RecordedRequest, error_body
from tests.conftest import DASHSCOPE, DEMO, MOONSHOT
from tests.export.conftest import KEYS, Pair

CHAT = {"messages": [{"role": "user", "content": "Hi there"}]}
NUMBER = re.compile(r"(?<=req-|mpl-)\d+")  # the fake providers count their requests
SUBSCRIBER = {"user-type": "subscriber"}


def call(client: httpx.Client, host: str, path: str, **options: Any) -> httpx.Response:
    """Send a request that is addressed to `host`, however the client gets there."""
    method = options.pop("method", "POST")
    headers = {"host": host, **options.pop("headers", {})}
    if isinstance(client._transport, MeshTransport):
        return client.request(method, f"http://{host}{path}", headers=headers, **options)
    return client.request(method, path, headers=headers, **options)


def seen(request: RecordedRequest) -> dict[str, object]:
    """What matters of a request to a provider."""
    # The mark against loops is for endpoints on this machine, as only the test has them.
    own = ("content-length", "traceparent", "x-llm-mesh-hops")
    headers = {name: value for name, value in request.headers if name not in own}
    body = json.loads(request.body) if request.body else None
    return {
        "method": request.method,
        "path": request.path,
        "headers": headers,
        "body": body,
        "server name": request.server_name,
    }


def shown(response: httpx.Response) -> dict[str, object]:
    """What matters of a response to a client."""
    own = ("date", "content-length", "transfer-encoding", "connection", "vary")
    headers = {
        name: NUMBER.sub("", value)
        for name, value in response.headers.items()
        if name not in own and not name.startswith("x-llm-mesh-")
    }
    return {
        "status": response.status_code,
        "headers": headers,
        "body": NUMBER.sub("", response.text),
    }


def both(pair: Pair, upstream: FakeUpstream, host: str, path: str = "/", **options: Any) -> None:
    """Send one request through each, and compare all that provider and client see."""
    found = []
    for client in (pair.mesh, pair.envoy):
        upstream.clear()
        response = call(client, host, path, **options)
        found.append((shown(response), [seen(each) for each in upstream.requests]))

    assert found[0] == found[1]
    assert len(found[0][1]) == 1


@pytest.mark.parametrize("path", ["/", "/v1/chat/completions", "/chat/completions?a=b"])
@pytest.mark.parametrize("headers", [{}, SUBSCRIBER, {"user-type": "Subscriber"}], ids=str)
def test_a_chat_is_the_same(pair: Pair, path: str, headers: dict[str, str]) -> None:
    both(pair, pair.dashscope, DASHSCOPE, path, json=CHAT, headers=headers)


def test_a_stream_is_the_same(pair: Pair) -> None:
    body = CHAT | {"stream": True, "stream_options": {"include_usage": True}}

    both(pair, pair.dashscope, DASHSCOPE, json=body, headers=SUBSCRIBER)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", {"model": "text-embedding-v4", "input": "two words"}),
        ("/v1/completions", {"prompt": "once", "model": "x"}),
    ],
)
def test_other_operations_are_the_same(pair: Pair, path: str, body: dict[str, object]) -> None:
    both(pair, pair.dashscope, DASHSCOPE, path, json=body)


@pytest.mark.parametrize(
    "text",
    [
        '{"model":"mine","messages":[{"role":"user","content":"a"}]}',
        '{ "messages" : [ {"role":"user","content":"} ] \\" \\\\"} ] , "model" : null }',
        '{"model":{"a":[1,{"b":"]}"}]},"messages":[{"role":"user","content":"\\u00e9 é"}]}',
        '\n{"messages":[{"role":"user","content":"a"}],"stream":false,"n":1e0}\n',
    ],
)
def test_any_body_gets_the_model(pair: Pair, text: str) -> None:
    headers = {"content-type": "application/json"}

    both(pair, pair.dashscope, DASHSCOPE, content=text.encode(), headers=headers)


def test_the_fields_of_the_client_are_chosen_alike(pair: Pair) -> None:
    headers = {
        "authorization": "Bearer of-the-client",
        "cookie": "a=b",
        "x-forwarded-for": "192.0.2.1",
        "openai-organization": "org",
        "openai-beta": "v2",
        "x-stainless-lang": "python",
        "x-own": "1",
    }

    both(pair, pair.dashscope, DASHSCOPE, json=CHAT, headers=headers)


@pytest.mark.parametrize("status", [400, 401, 404])
def test_an_error_of_a_provider_is_the_same(pair: Pair, status: int) -> None:
    answer = Answer(
        status, headers=[("set-cookie", "a=b"), ("x-request-id", "r")], body=error_body("no")
    )
    found = []
    for client in (pair.mesh, pair.envoy):
        pair.clear()
        pair.dashscope.script(answer)
        found.append(shown(call(client, DASHSCOPE, "/", json=CHAT)))

    assert found[0] == found[1]


def test_a_split_sends_each_provider_what_the_mesh_sends(pair: Pair) -> None:
    """Each provider gets its own path, model, key and name."""
    upstreams = {DASHSCOPE: pair.dashscope, MOONSHOT: pair.moonshot}
    from_mesh, from_envoy = {}, {}
    for draw in (0.0, 0.99):
        mesh = Mesh(settings=pair.settings, environ=KEYS, rng=lambda draw=draw: draw)  # type: ignore[misc]
        with closing(mesh), httpx.Client(transport=MeshTransport(mesh)) as client:
            call(client, DEMO, "/v1/chat/completions", json=CHAT)
    for host, upstream in upstreams.items():
        from_mesh[host] = seen(upstream.requests[0])
    pair.clear()
    for _ in range(60):
        call(pair.envoy, DEMO, "/v1/chat/completions", json=CHAT)
    for host, upstream in upstreams.items():
        from_envoy[host] = seen(upstream.requests[0])

    assert from_envoy == from_mesh
    assert 10 < len(pair.moonshot.requests) < 50


@pytest.mark.parametrize("host", [DEMO, f"{DEMO}.default", f"{DEMO}.default.svc.cluster.local:80"])
def test_the_names_of_a_service_lead_to_its_route(pair: Pair, host: str) -> None:
    assert call(pair.envoy, host, "/", json=CHAT).status_code == 200
    assert call(pair.mesh, host, "/", json=CHAT).status_code == 200


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        ({"content": b"[1]"}, 400, "invalid_json"),
        ({"content": b'{"a":1'}, 400, "invalid_json"),
        ({"content": b""}, 400, "invalid_json"),
        ({"path": "/nothing", "json": {}}, 404, "unsupported_operation"),
        ({"method": "GET"}, 405, "method_not_allowed"),
    ],
)
def test_what_the_mesh_refuses_is_refused(
    pair: Pair, options: dict[str, Any], status: int, code: str
) -> None:
    path = options.pop("path", "/v1/chat/completions")
    for client in (pair.mesh, pair.envoy):
        response = call(client, DASHSCOPE, path, **dict(options))
        assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert pair.dashscope.requests == []


@pytest.mark.parametrize("text", ['{"mod\\u0065l":"mine"}', '{"model":"a","mod\\u0065l":"b"}'])
def test_no_spelling_of_a_name_gets_round_the_model(pair: Pair, text: str) -> None:
    response = call(pair.envoy, DASHSCOPE, "/", content=text.encode())

    assert (response.status_code, pair.dashscope.requests) == (400, [])


@pytest.mark.slow
def test_the_access_log_has_the_three_fields_of_tokens(pair: Pair) -> None:
    call(pair.envoy, DASHSCOPE, "/", json=CHAT, headers=SUBSCRIBER)

    deadline = time.monotonic() + 10  # Envoy flushes its log every second, or at 64 KB
    while True:
        lines = [json.loads(line) for line in pair.log.read_text().splitlines()]
        found = [line for line in lines if line["request_model"] == "qwen-turbo"]
        if found or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    (line, *_) = found
    assert line["route_name"] == "vip-route"
    assert line["authority_for"] == DASHSCOPE
    assert int(line["request_prompt_tokens"]) > 0
    assert int(line["request_completion_tokens"]) > 0
