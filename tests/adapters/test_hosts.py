"""Which host a request is for, as servers hand it over from the wire."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_mesh_middleware.testing import FakeUpstream
from tests.adapters.meshes import OWN_ANSWER
from tests.adapters.wire import CHAT, Client, Connect, Response, request_bytes
from tests.conftest import DASHSCOPE, DASHSCOPE_KEY, DEMO, Providers, slow

MeshOn = Callable[..., int]

ANSWER = "You said: Good morning to you"

# uvicorn with httptools passes on the path of an absolute target and nothing else of it.
SHOWS_TARGET = ("uvicorn-h11", "hypercorn", "serve")
HAS_SOCKETS = ("uvicorn-httptools", *slow("uvicorn-h11", "hypercorn"))


@pytest.fixture
def client(mesh_on: MeshOn, connect: Connect, server: str) -> Client:
    """A connection to each server in turn."""
    return connect(mesh_on(server))


def content(response: Response) -> str:
    return str(response.json()["choices"][0]["message"]["content"])


TARGETS = {
    "origin": "/v1/chat/completions",
    "root": "/",
    "absolute": f"http://{DASHSCOPE}/v1/chat/completions",
    "absolute with a port": f"http://{DASHSCOPE}:80/v1/chat/completions",
    "absolute root": f"http://{DASHSCOPE}/",
    "absolute https": f"https://{DASHSCOPE}/",
    "absolute in capitals": f"HTTP://{DASHSCOPE.upper()}/",
    "a query": "/v1/chat/completions?api_base=https://evil.example",
    "absolute with a query": f"http://{DASHSCOPE}/v1/chat/completions?x=//evil.example/",
}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_both_forms_of_a_target_reach_the_provider(
    client: Client, providers: Providers, target: str
) -> None:
    response = client.ask(request_bytes(DASHSCOPE, target=target))

    assert response.status == 200, response.body
    assert content(response) == ANSWER
    [request] = providers.dashscope.requests
    assert request.target == "/compatible-mode/v1/chat/completions"
    assert request.server_name == request.header("host") == DASHSCOPE
    assert request.header("authorization") == f"Bearer {DASHSCOPE_KEY}"
    assert request.json()["model"] == "qwen1.5-72b-chat"


def test_an_absolute_target_without_a_path_is_chat(
    mesh_on: MeshOn, connect: Connect, providers: Providers
) -> None:
    response = connect(mesh_on("uvicorn-h11")).ask(
        request_bytes(DASHSCOPE, target=f"http://{DASHSCOPE}")
    )

    assert response.status == 200
    assert [request.path for request in providers.dashscope.requests] == [
        "/compatible-mode/v1/chat/completions"
    ]


PATHS = (
    "/x/../chat/completions",
    "//chat/completions",
    "/%2e%2e/chat/completions",
    "/;x/chat/completions",
    "/a%0d%0aHost:%20evil.example/chat/completions",
    "/http://evil.example/chat/completions",
)


@pytest.mark.parametrize("path", PATHS)
def test_no_path_of_a_client_goes_upstream(client: Client, providers: Providers, path: str) -> None:
    assert client.ask(request_bytes(DASHSCOPE, target=path)).status == 200

    assert [request.target for request in providers.requests] == [
        "/compatible-mode/v1/chat/completions"
    ]


OURS = (
    "DashScope.Aliyuncs.COM",
    "dashscope.aliyuncs.com:80",
    "dashscope.aliyuncs.com:8443",
    "dashscope.aliyuncs.com.",
    "DASHSCOPE.aliyuncs.com.:80",
    "demo-llm-server.default",
    "demo-llm-server.default.svc",
    "Demo-LLM-Server.default.svc.cluster.local:80",
)


@pytest.mark.parametrize("host", OURS)
def test_a_host_is_ours_in_any_spelling(client: Client, providers: Providers, host: str) -> None:
    response = client.ask(request_bytes(host))

    assert response.status == 200
    assert content(response) == ANSWER
    assert len(providers.requests) == 1


def test_white_space_around_a_host_is_no_part_of_it(client: Client, providers: Providers) -> None:
    assert client.ask(request_bytes(f"  {DASHSCOPE} \t")).status == 200
    assert len(providers.requests) == 1


NOT_OURS = (
    "evil-dashscope.aliyuncs.com",
    "dashscope.aliyuncs.com.evil",
    "x.dashscope.aliyuncs.com",
    "aliyuncs.com",
    "x@dashscope.aliyuncs.com",
    "dashscope.aliyuncs.com/x",
    "dashscope.aliyuncs.com?x",
    "dashscope.aliyuncs.com#x",
    "dashscope.aliyuncs.com,demo-llm-server",
    "dashscope.aliyuncs.com..",
    "dashscope.aliyuncs.com:80x",
    "dashscope.aliyuncs.com:80:80",
    "http://dashscope.aliyuncs.com",
    "[dashscope.aliyuncs.com]",
    "demo-llm-server.other",
    "demo-llm-server.default.svc.evil",
    "127.0.0.1",
)


@pytest.mark.parametrize("host", NOT_OURS)
def test_a_host_that_only_resembles_ours_is_the_applications(
    client: Client, providers: Providers, host: str
) -> None:
    client.send(request_bytes(host))
    response = client.read()

    assert response.status == 400 or response.body == OWN_ANSWER
    assert not providers.requests


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("other", ["app.example", DASHSCOPE, DEMO])
def test_two_hosts_are_refused_and_the_connection_closed(
    client: Client, providers: Providers, other: str, order: int
) -> None:
    first, second = (DASHSCOPE, other)[::order]
    client.send(request_bytes(first, CHAT, f"Host: {second}"))

    assert client.read().status == 400
    assert client.is_closed()
    assert not providers.requests


@pytest.mark.parametrize("server", SHOWS_TARGET)
@pytest.mark.parametrize(
    ("host", "target"),
    [
        (DASHSCOPE, "http://app.example/"),
        ("app.example", f"http://{DASHSCOPE}/"),
        (DASHSCOPE, f"http://{DEMO}/"),
        (DASHSCOPE, f"http://x@{DASHSCOPE}/"),
    ],
)
def test_a_host_that_disagrees_with_the_target_is_refused(
    mesh_on: MeshOn, connect: Connect, providers: Providers, server: str, host: str, target: str
) -> None:
    client = connect(mesh_on(server))
    client.send(request_bytes(host, target=target))
    response = client.read()

    assert response.status == 400
    assert response.error()["code"] == "invalid_request"
    assert client.is_closed()
    assert not providers.requests


@pytest.mark.parametrize("server", SHOWS_TARGET)
def test_the_host_and_the_target_may_be_spelled_differently(
    mesh_on: MeshOn, connect: Connect, providers: Providers, server: str
) -> None:
    data = request_bytes(f"{DASHSCOPE}.:80", target=f"http://{DASHSCOPE.upper()}/")

    assert connect(mesh_on(server)).ask(data).status == 200
    assert len(providers.requests) == 1


ADDRESSED = f"""\
apiVersion: istio.alibabacloud.com/v1
kind: LLMRoute
metadata: {{name: addressed}}
spec:
  host: 2001:db8::1
  rules: [{{backendRefs: [{{providerHost: {DASHSCOPE}}}]}}]
"""


def test_an_ipv6_address_is_compared_not_its_spelling(
    mesh_on: MeshOn,
    connect: Connect,
    providers: Providers,
    patient: tuple[str, ...],
    tmp_path: Path,
) -> None:
    (tmp_path / "addressed.yaml").write_text(ADDRESSED, "utf-8")
    client = connect(mesh_on("serve", config=(*patient, str(tmp_path))))
    spelt, written = "[2001:0DB8:0:0:0:0:0:1]", "[2001:db8::1]"
    for host, target in (
        (spelt, "/v1/chat/completions"),
        (f"{written}:80", f"http://{spelt}/v1/chat/completions"),
    ):
        assert client.ask(request_bytes(host, target=target)).status == 200
    assert client.ask(request_bytes("[2001:db8::2]")).body == OWN_ANSWER
    assert len(providers.dashscope.requests) == 2


def test_an_absolute_target_on_a_foreign_host_is_never_fetched(
    client: Client, providers: Providers
) -> None:
    with FakeUpstream(tls=False) as stranger:
        authority = f"127.0.0.1:{stranger.port}"
        response = client.ask(
            request_bytes(authority, target=f"http://{authority}/v1/chat/completions")
        )
        assert stranger.accepted_connections == 0

    assert response.body == OWN_ANSWER
    assert not providers.requests


CONNECTS = (
    (f"{DASHSCOPE}:443", f"{DASHSCOPE}:443"),
    (DASHSCOPE, DASHSCOPE),
    (f"{DASHSCOPE}:443", "app.example"),
    ("app.example:443", DASHSCOPE),
)


@pytest.mark.parametrize(("authority", "host"), CONNECTS)
def test_connect_opens_no_tunnel_to_a_provider(
    client: Client, providers: Providers, authority: str, host: str
) -> None:
    client.send(request_bytes(host, method="CONNECT", target=authority))

    assert client.read_head().status >= 400
    assert not providers.requests


@pytest.mark.parametrize("server", SHOWS_TARGET)
def test_connect_on_a_virtual_host_is_405(mesh_on: MeshOn, connect: Connect, server: str) -> None:
    client = connect(mesh_on(server))
    client.send(request_bytes(f"{DASHSCOPE}:443", method="CONNECT", target=f"{DASHSCOPE}:443"))
    response = client.read()

    assert response.status == 405
    assert response.error()["code"] == "method_not_allowed"
    assert response.header("allow") == "POST"


def upgrade(host: str, target: str = "/v1/chat/completions") -> bytes:
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: {host}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.mark.parametrize("server", HAS_SOCKETS)
@pytest.mark.parametrize("host", [DASHSCOPE, f"{DASHSCOPE.upper()}:80", DEMO])
def test_a_web_socket_on_a_virtual_host_is_refused(
    client: Client, providers: Providers, host: str
) -> None:
    client.send(upgrade(host))

    assert client.read_head().status == 403
    assert not providers.requests


@pytest.mark.parametrize("server", HAS_SOCKETS)
def test_the_applications_own_sockets_work(client: Client) -> None:
    client.send(upgrade("app.example"))
    assert client.read_head().status == 101
    client.send(b"\x81\x85" + bytes(4) + b"hello")  # one masked text frame; the mask is zeros

    assert client.read_frame() == b"hello"


def test_a_request_without_a_host_is_the_applications(
    mesh_on: MeshOn, connect: Connect, providers: Providers
) -> None:
    client = connect(mesh_on("uvicorn-httptools"))
    client.send(b"POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n")

    assert client.read().body == OWN_ANSWER
    assert not providers.requests
