"""What a provider is told, and that no client has a say in whom the mesh calls."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llm_mesh_middleware import LLMProvider
from llm_mesh_middleware.testing import Answer, CertificateAuthority, FakeUpstream, chat_completion
from tests.adapters.meshes import mesh_for
from tests.adapters.wire import CHAT, QUESTION, Connect, request_bytes
from tests.conftest import DASHSCOPE, DASHSCOPE_KEY, MOONSHOT, Providers, Serve

MeshOn = Callable[..., int]

CANARY = "canary-4711"
CLIENTS = pytest.mark.parametrize(
    ("kind", "client_kind"),
    [("uvicorn-httptools", "aiohttp"), ("uvicorn-httptools", "httpx"), ("wsgiref", "httpx")],
)

NEVER = (
    "Authorization: Bearer {}",
    "Cookie: session={}",
    "Cookie2: {}",
    "Proxy-Authorization: Basic {}",
    "Proxy-Connection: {}",
    "Proxy-{0}: {0}",
    "X-Api-Key: {}",
    "Api-Key: {}",
    "X-Goog-Api-Key: {}",
    "Forwarded: for={}",
    "Via: 1.1 {}",
    "X-Forwarded-For: {}",
    "X-Forwarded-Host: {}",
    "X-Forwarded-{0}: {0}",
    "X-Real-IP: {}",
    "X-Original-URL: http://{}/",
    "X-Rewrite-URL: http://{}/",
    "X-Llm-Custom-Host: {}",
    "Keep-Alive: {}",
    "TE: {}",
    "Trailer: {}",
    "Accept-Encoding: {}",
    "X-Unknown: {}",
    "Referer: http://{}/",
    "Origin: http://{}",
    "Baggage: user={}",
    "OpenAI-Organization: {}",
    "X-DashScope-Workspace: {}",
)
ALLOWED = (
    "Accept: application/json",
    "Accept-Language: en",
    "User-Agent: a-client/1",
    "X-Request-Id: r-1",
    "Idempotency-Key: i-1",
    "OpenAI-Beta: b-1",
    "Anthropic-Version: v-1",
    "X-DashScope-Session: s-1",
)


def test_only_the_allowed_header_fields_go_upstream(
    mesh_on: MeshOn, connect: Connect, providers: Providers, server: str
) -> None:
    never = [line.format(CANARY) for line in NEVER]
    client = connect(mesh_on(server, access="open"))
    assert client.ask(request_bytes(DASHSCOPE, CHAT, *never, *ALLOWED)).status == 200

    [request] = providers.requests
    assert CANARY not in repr(request.headers)
    own = {
        "host": DASHSCOPE,
        "authorization": f"Bearer {DASHSCOPE_KEY}",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "content-length": str(len(request.body)),
    }
    allowed = {name.lower(): value for name, value in (line.split(": ", 1) for line in ALLOWED)}
    sent = {name.lower(): value for name, value in request.headers}
    assert len(sent) == len(request.headers)
    assert len(sent.pop("x-llm-mesh-hops")) == 16  # as the provider is on loopback
    assert sent == own | allowed


@pytest.mark.parametrize("line", NEVER)
def test_a_forbidden_field_is_held_back_under_any_spelling(
    mesh_on: MeshOn, connect: Connect, providers: Providers, line: str
) -> None:
    client = connect(mesh_on("uvicorn-httptools", access="open"))
    name, _, value = line.format(CANARY).partition(": ")
    spelled = f"{name.upper()}:{value}", f"{name.lower()}:   {value}  "
    assert client.ask(request_bytes(DASHSCOPE, CHAT, *spelled)).status == 200

    [request] = providers.requests
    assert CANARY not in repr(request.headers).lower()


def test_a_field_that_connection_names_stays_on_its_hop(
    mesh_on: MeshOn, connect: Connect, providers: Providers, server: str
) -> None:
    named = (
        "Connection: keep-alive, OpenAI-Beta , x-dashscope-session",
        "Connection: X-Request-ID",
    )
    client = connect(mesh_on(server))
    assert client.ask(request_bytes(DASHSCOPE, CHAT, *named, *ALLOWED)).status == 200

    [request] = providers.requests
    for name in ("openai-beta", "x-dashscope-session", "x-request-id", "connection"):
        assert request.header(name) is None
    assert request.header("anthropic-version") == "v-1"


def test_connection_cannot_take_the_key_away(
    mesh_on: MeshOn, connect: Connect, providers: Providers, kind: str
) -> None:
    line = "Connection: authorization, host, content-type, content-length"
    client = connect(mesh_on(kind))
    assert client.ask(request_bytes(DASHSCOPE, CHAT, line)).status == 200

    [request] = providers.requests
    assert request.header("authorization") == f"Bearer {DASHSCOPE_KEY}"
    assert request.header("host") == DASHSCOPE


def test_further_fields_go_upstream_if_the_owner_says_so(
    mesh_on: MeshOn, connect: Connect, providers: Providers, kind: str
) -> None:
    client = connect(mesh_on(kind, forward_headers=("x-tenant-*", "x-trace")))
    lines = "X-Tenant-Id: t-1", "X-Trace: 1", "X-Tenan: no"
    assert client.ask(request_bytes(DASHSCOPE, CHAT, *lines)).status == 200

    [request] = providers.requests
    assert [request.header(name) for name in ("x-tenant-id", "x-trace", "x-tenan")] == [
        "t-1",
        "1",
        None,
    ]


@pytest.fixture
def stranger() -> Iterator[FakeUpstream]:
    """A host that the configuration does not name; nobody may call it."""
    with FakeUpstream(tls=False) as upstream:
        yield upstream
        assert upstream.accepted_connections == 0


def test_no_body_field_chooses_the_upstream(
    mesh_on: MeshOn, connect: Connect, providers: Providers, stranger: FakeUpstream, kind: str
) -> None:
    url = stranger.url
    fields = {"api_base": url, "base_url": url, "api_key": "k", "api_type": "azure", "host": url}
    image = {"type": "image_url", "image_url": {"url": f"{url}/cat.png"}}
    body = fields | {"messages": [{"role": "user", "content": [image]}], "model": f"{url}/m"}
    answer = connect(mesh_on(kind)).ask(request_bytes(DASHSCOPE, json.dumps(body).encode()))

    assert answer.status == 200
    [request] = providers.requests
    assert request.json() == body | {"model": "qwen1.5-72b-chat"}
    assert request.header("host") == request.server_name == DASHSCOPE


HOST_FIELDS = (
    "X-Forwarded-Host",
    "X-Forwarded-Server",
    "X-Host",
    "X-Original-URL",
    "X-Original-Host",
    "X-Rewrite-URL",
    "X-HTTP-Host-Override",
    "X-Portkey-Custom-Host",
    "X-Custom-Host",
    "X-Api-Base",
    "OpenAI-Base-URL",
    "Destination",
    "Forwarded",
)


def test_no_header_field_chooses_the_upstream(
    mesh_on: MeshOn, connect: Connect, providers: Providers, server: str, stranger: FakeUpstream
) -> None:
    lines = [f"{name}: {stranger.url}" for name in HOST_FIELDS]
    lines += ["X-HTTP-Method-Override: GET", f"Proxy: {stranger.url}"]
    port = mesh_on(server, access="open")
    assert connect(port).ask(request_bytes(DASHSCOPE, CHAT, *lines)).status == 200
    assert connect(port).ask(request_bytes(MOONSHOT, CHAT, *lines)).status == 200

    first, second = providers.dashscope.requests[0], providers.moonshot.requests[0]
    assert (first.header("host"), first.server_name) == (DASHSCOPE, DASHSCOPE)
    assert (second.header("host"), second.server_name) == (MOONSHOT, MOONSHOT)
    assert first.target == "/compatible-mode/v1/chat/completions"
    assert second.target == "/v1/chat/completions"
    assert first.method == second.method == "POST"


@pytest.fixture
def dead_proxy(monkeypatch: pytest.MonkeyPatch) -> str:
    """A proxy that refuses everything, in every variable of the process."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, url)
        monkeypatch.setenv(name.upper(), url)
    return url


@CLIENTS
def test_the_proxies_of_the_process_are_not_used(
    dead_proxy: str,
    serve: Serve,
    connect: Connect,
    providers: Providers,
    client_kind: str,
    kind: str,
) -> None:
    settings = providers.settings(upstream_client=client_kind)
    port = serve(mesh_for(kind, settings=settings), kind)

    assert connect(port).ask(request_bytes(DASHSCOPE)).status == 200
    assert len(providers.requests) == 1


@CLIENTS
def test_the_proxies_of_the_process_are_used_if_the_owner_says_so(
    dead_proxy: str,
    serve: Serve,
    connect: Connect,
    providers: Providers,
    patient: tuple[str, ...],
    client_kind: str,
    kind: str,
) -> None:
    settings = providers.settings(config=patient, trust_env=True, upstream_client=client_kind)
    port = serve(mesh_for(kind, settings=settings), kind)
    response = connect(port).ask(request_bytes(DASHSCOPE))

    assert response.status == 502
    assert response.error()["code"] == "upstream_connect_error"
    assert dead_proxy.rpartition(":")[2] not in response.error()["message"]
    assert not providers.requests


def keyless(upstream: FakeUpstream) -> LLMProvider:
    """A provider that is called without any key."""
    return LLMProvider.model_validate(
        {
            "apiVersion": "istio.alibabacloud.com/v1",
            "kind": "LLMProvider",
            "metadata": {"name": "keyless"},
            "spec": {
                "host": "llm.example",
                "path": "/v1/chat/completions",
                "endpoint": upstream.url,
                "configs": {"defaultConfig": {"openAIConfig": {"model": "m"}}},
            },
        }
    )


@CLIENTS
@pytest.mark.parametrize("trust_env", [False, True])
def test_no_netrc_is_read(
    serve: Serve,
    connect: Connect,
    providers: Providers,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    trust_env: bool,
    client_kind: str,
    kind: str,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"default login {CANARY} password {CANARY}\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with FakeUpstream(tls=False) as upstream:
        settings = providers.settings(config=(), trust_env=trust_env, upstream_client=client_kind)
        mesh = mesh_for(kind, config=[keyless(upstream)], settings=settings)
        client = connect(serve(mesh, kind))
        sent = request_bytes("llm.example", CHAT, f"Authorization: Bearer {CANARY}")
        assert client.ask(sent).status == 200

        [request] = upstream.requests
        assert request.header("authorization") is None


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_is_not_followed(
    mesh_on: MeshOn,
    connect: Connect,
    providers: Providers,
    stranger: FakeUpstream,
    status: int,
    kind: str,
) -> None:
    providers.dashscope.always(Answer(status, [("location", f"{stranger.url}/x")]))
    response = connect(mesh_on(kind)).ask(request_bytes(DASHSCOPE))

    assert response.status == 502
    assert response.error()["code"] == "upstream_protocol_error"
    assert response.header("location") is None
    assert str(stranger.port) not in repr(response)


def test_no_cookie_is_kept_or_passed_on(
    mesh_on: MeshOn, connect: Connect, providers: Providers, server: str
) -> None:
    fields = [
        ("set-cookie", f"a={CANARY}"),
        ("set-cookie", f"b={CANARY}; Path=/"),
        ("strict-transport-security", "max-age=1"),
        ("alt-svc", 'h3=":443"'),
        ("keep-alive", "timeout=5"),
        ("connection", "x-hop"),
        ("x-hop", CANARY),
        ("x-ratelimit-remaining-requests", "7"),
    ]
    providers.dashscope.always(Answer(headers=fields, body=chat_completion()))
    first, second = (connect(mesh_on(server)).ask(request_bytes(DASHSCOPE)) for _ in range(2))

    assert [request.header("cookie") for request in providers.requests] == [None, None]
    for response in (first, second):
        assert CANARY not in repr(response.headers)
        for name in ("set-cookie", "strict-transport-security", "alt-svc", "keep-alive"):
            assert response.header(name) is None
        assert response.header("x-ratelimit-remaining-requests") == "7"


BAD_CERTIFICATES: dict[str, Callable[[CertificateAuthority], FakeUpstream]] = {
    "another name": lambda ca: FakeUpstream(tls=ca.issue("other.example")),
    "the address only": lambda ca: FakeUpstream(tls=ca.issue("127.0.0.1")),
    "expired": lambda ca: FakeUpstream(tls=ca.issue(DASHSCOPE, expired=True)),
    "self-signed": lambda ca: FakeUpstream(tls=ca.issue(DASHSCOPE, self_signed=True)),
    "another authority": lambda ca: FakeUpstream(tls=CertificateAuthority().issue(DASHSCOPE)),
    "a name above": lambda ca: FakeUpstream(tls=ca.issue("*.com")),
}


@pytest.mark.parametrize("make", BAD_CERTIFICATES.values(), ids=BAD_CERTIFICATES)
def test_a_bad_certificate_is_502_before_a_byte_is_sent(
    serve: Serve,
    connect: Connect,
    providers: Providers,
    patient: tuple[str, ...],
    ca: CertificateAuthority,
    make: Callable[[CertificateAuthority], FakeUpstream],
    kind: str,
) -> None:
    with make(ca) as upstream:
        settings = providers.settings(config=patient, endpoints={DASHSCOPE: upstream.url})
        port = serve(mesh_for(kind, settings=settings), kind)
        response = connect(port).ask(request_bytes(DASHSCOPE))

        assert response.status == 502
        error = response.error()
        assert (error["code"], error["type"]) == ("upstream_connect_error", "upstream_error")
        assert DASHSCOPE in error["message"]
        assert "127.0.0.1" not in error["message"]
        assert upstream.wait_closed()
        assert upstream.accepted_connections >= 1
        assert not upstream.requests


def test_the_members_of_a_request_keep_their_bytes(
    mesh_on: MeshOn, connect: Connect, providers: Providers, kind: str
) -> None:
    body = (
        '{"z":1.0,"temperature":1e-7,"messages":[ {"role":"user","content":"\\u00e4 ä"} ],'
        '"a":12345678901234567890,"model":"theirs","unknown":{"y":null,"x":[ ]}}'
    )
    client = connect(mesh_on(kind))
    assert client.ask(request_bytes(DASHSCOPE, body.encode())).status == 200

    [request] = providers.requests
    assert request.body.decode() == body.replace('"theirs"', '"qwen1.5-72b-chat"')
    assert json.loads(CHAT) == QUESTION
