"""The endpoint picker of a pool, asked over gRPC: its picks, its refusals, its absence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from llm_mesh_httpx import AsyncMeshTransport, MeshTransport
from llm_mesh_middleware import Mesh, MeshSettings
from llm_mesh_middleware._engine.ports.endpoint_picker.wire import read_response
from llm_mesh_middleware.testing import Answer, error_body
from tests.compile.test_pools import PORTS, pool, to_pool
from tests.core.tables import compiled
from tests.resilience.model_servers import ModelServer
from tests.resilience.picker import CLASSES, Picker
from tests.rows import rows

pytest.importorskip("grpc")

URL = "http://qwen/v1/chat/completions"
BODY = {"model": "qwen", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
def picker() -> Iterator[Picker]:
    with Picker() as running:
        yield running


@pytest.fixture
def servers() -> Iterator[list[ModelServer]]:
    with ExitStack() as stack:
        yield [stack.enter_context(ModelServer()) for _ in range(3)]


def mesh_of(
    folder: Path,
    servers: list[ModelServer],
    address: str,
    *,
    fails_open: bool = False,
    tls: dict[str, Any] | None = None,
) -> Mesh:
    mode = "FailOpen" if fails_open else "FailClose"
    spec: dict[str, Any] = {
        "targetPorts": [{"number": 8000}],
        "endpoints": [server.address for server in servers],
        "endpointPickerRef": {"name": "epp", "port": {"number": 9002}, "failureMode": mode},
        "endpointPicker": address,
    }
    head = {"apiVersion": "inference.networking.k8s.io/v1", "kind": "InferencePool"}
    ref: dict[str, Any] = {"name": "qwen-pool", "picker": "epp"}
    if tls is not None:
        ref["pickerTLS"] = tls
    rules = [{"backendRefs": [{"backendRef": ref}]}]
    route = {
        "apiVersion": "istio.alibabacloud.com/v1beta1",
        "kind": "LLMRoute",
        "metadata": {"name": "qwen"},
        "spec": {"host": "qwen", "rules": rules},
    }
    documents = ({**head, "metadata": {"name": "qwen-pool"}, "spec": spec}, route)
    (folder / "mesh.yaml").write_text("---\n".join(json.dumps(each) + "\n" for each in documents))
    return Mesh(folder, settings=MeshSettings())


@contextmanager
def client_of(mesh: Mesh) -> Iterator[httpx.Client]:
    with httpx.Client(transport=MeshTransport(mesh), timeout=30) as client:
        yield client
    mesh.close()


def test_the_picked_server_gets_the_request(
    tmp_path: Path, picker: Picker, servers: list[ModelServer]
) -> None:
    with client_of(mesh_of(tmp_path, servers, picker.address)) as client:
        for server in servers:
            picker.picks = [server.address]
            headers = {"authorization": "Bearer of-the-client", "x-request-id": "r-1"}
            assert client.post(URL, json=BODY, headers=headers).status_code == 200
    assert [server.calls for server in servers] == [1, 1, 1]
    asked = picker.asked[0]
    headers = asked.headers
    assert json.loads(asked.body) == BODY
    assert headers[":method"] == "POST"
    assert headers[":path"] == "/v1/chat/completions"
    assert headers["x-request-id"] == "r-1"
    assert "authorization" not in headers


async def test_it_is_asked_in_an_event_loop_too(
    tmp_path: Path, picker: Picker, servers: list[ModelServer]
) -> None:
    picker.picks = [servers[1].address]
    mesh = mesh_of(tmp_path, servers, picker.address)
    async with httpx.AsyncClient(transport=AsyncMeshTransport(mesh), timeout=30) as client:
        replies = [await client.post(URL, json=BODY) for _ in range(3)]
    await mesh.aclose()
    assert [reply.status_code for reply in replies] == [200, 200, 200]
    assert [server.calls for server in servers] == [0, 3, 0]


def test_picks_are_tried_in_their_order(
    tmp_path: Path, picker: Picker, servers: list[ModelServer]
) -> None:
    servers[2].chat = Answer(503, [], error_body("down"))
    picker.picks = [servers[2].address, servers[0].address]
    with client_of(mesh_of(tmp_path, servers, picker.address)) as client:
        reply = client.post(URL, json=BODY)
    assert reply.status_code == 200
    assert reply.headers["x-llm-mesh-attempts"] == "2"
    assert [server.calls for server in servers] == [1, 0, 1]


def test_a_server_that_the_mesh_does_not_know_yet_may_be_picked(
    tmp_path: Path, picker: Picker, servers: list[ModelServer]
) -> None:
    picker.picks = [servers[2].address]
    with client_of(mesh_of(tmp_path, servers[:1], picker.address)) as client:
        assert client.post(URL, json=BODY).status_code == 200
    assert servers[2].calls == 1


@pytest.mark.parametrize(
    ("status", "code"), [(429, "rate_limit_exceeded"), (503, "no_healthy_upstream")]
)
def test_a_refusal_is_the_clients(
    tmp_path: Path, picker: Picker, servers: list[ModelServer], status: int, code: str
) -> None:
    picker.status = status
    with client_of(mesh_of(tmp_path, servers, picker.address, fails_open=True)) as client:
        reply = client.post(URL, json=BODY)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
    assert [server.calls for server in servers] == [0, 0, 0]


@pytest.mark.parametrize(("fails_open", "status"), [(True, 200), (False, 503)])
def test_without_its_picker_a_pool_fails_as_it_says(
    tmp_path: Path, servers: list[ModelServer], fails_open: bool, status: int
) -> None:
    with Picker() as gone:
        address = gone.address
    with client_of(mesh_of(tmp_path, servers, address, fails_open=fails_open)) as client:
        reply = client.post(URL, json=BODY)
    assert reply.status_code == status
    if status == 503:
        assert "did not respond" in reply.json()["error"]["message"]


def test_a_picker_may_name_its_picks_in_the_metadata_alone(
    tmp_path: Path, picker: Picker, servers: list[ModelServer]
) -> None:
    picker.picks, picker.says = [servers[1].address], "metadata"
    with client_of(mesh_of(tmp_path, servers, picker.address)) as client:
        assert client.post(URL, json=BODY).status_code == 200
    assert servers[1].calls == 1


def test_a_pool_without_a_picker_cannot_be_asked_for_one() -> None:
    documents = (pool(f"{PORTS}\n  endpoints: [a]"), to_pool("name: qwen-pool, picker: epp"))
    (problem,) = compiled(*documents).problems
    assert problem.field == "spec.rules[0].backendRefs[0].backendRef.picker"
    assert "has no endpointPickerRef" in problem.message


def test_other_messages_say_nothing() -> None:
    empty = CLASSES["ProcessingResponse"](request_body={}).SerializeToString()
    assert read_response(empty) == (None, 0)
    assert read_response(b"") == (None, 0)


@rows("data", [b"\x0a", b"\x0a\x05ab", b"\x0b", b"\xff" * 12, b"\x09\x01"])
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="a "):
        read_response(data)
