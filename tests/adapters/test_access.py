"""Who may use the mesh, decided by what a request on the wire says of its client."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any

import httpx
import pytest

from llm_mesh_middleware import LLMMeshMiddleware, LLMProvider, LLMRoute
from tests.adapters.meshes import own_app
from tests.adapters.wire import CHAT, Client, Connect, request_bytes
from tests.canaries import canary
from tests.conftest import DASHSCOPE, DASHSCOPE_KEY, DEMO, MOONSHOT, MOONSHOT_KEY, Providers

MeshOn = Callable[..., int]
Scope = MutableMapping[str, Any]

KEY = canary("alice")
KEYS = {"alice": KEY, "bob": canary("bob")}
PEER = ("127.0.0.1", 5)
ONE_SERVER = pytest.mark.parametrize("server", ["uvicorn-httptools"])


def bearer(key: str = KEY) -> str:
    return f"Authorization: Bearer {key}"


@pytest.fixture
def keyed(mesh_on: MeshOn, connect: Connect, server: str) -> Client:
    """A connection to a mesh that asks for client keys."""
    return connect(mesh_on(server, access="keys", client_keys=KEYS))


def test_a_loopback_client_is_admitted_by_default(
    mesh_on: MeshOn, connect: Connect, server: str
) -> None:
    assert connect(mesh_on(server)).ask(request_bytes(DASHSCOPE)).status == 200


FORWARDING = (
    "X-Forwarded-For: 203.0.113.9",
    "X-Forwarded-For: 127.0.0.1",
    "x-forwarded-host: dashscope.aliyuncs.com",
    "X-Forwarded-Proto: https",
    "X-Real-IP: 127.0.0.1",
    "Forwarded: for=127.0.0.1",
    "Via: 1.1 proxy",
    "CF-Connecting-IP: 127.0.0.1",
    "True-Client-IP: 127.0.0.1",
    "X-Forwarded-For:",
)


@ONE_SERVER
@pytest.mark.parametrize("line", FORWARDING)
def test_whoever_comes_through_a_proxy_is_refused_by_default(
    mesh_on: MeshOn, connect: Connect, providers: Providers, server: str, line: str
) -> None:
    response = connect(mesh_on(server)).ask(request_bytes(DASHSCOPE, CHAT, line))

    assert response.status == 403
    error = response.error()
    assert (error["code"], error["type"]) == ("access_denied", "permission_error")
    assert not providers.requests


def test_every_server_shows_the_forwarding_fields(
    mesh_on: MeshOn, connect: Connect, server: str
) -> None:
    client = connect(mesh_on(server))

    assert client.ask(request_bytes(DASHSCOPE, CHAT, FORWARDING[0])).status == 403


def test_a_proxys_client_may_use_the_applications_own_pages(
    mesh_on: MeshOn, connect: Connect, server: str
) -> None:
    data = request_bytes("app.example", CHAT, "X-Forwarded-For: 203.0.113.9")

    assert connect(mesh_on(server)).ask(data).status == 200


def test_open_asks_for_nothing(mesh_on: MeshOn, connect: Connect, server: str) -> None:
    data = request_bytes(DASHSCOPE, CHAT, "X-Forwarded-For: 203.0.113.9", bearer("unknown"))

    assert connect(mesh_on(server, access="open")).ask(data).status == 200


def test_a_client_key_opens_the_mesh(keyed: Client, providers: Providers) -> None:
    data = request_bytes(DASHSCOPE, CHAT, bearer(), "X-Forwarded-For: 203.0.113.9")

    assert keyed.ask(data).status == 200
    [request] = providers.requests
    assert KEY not in repr(request.headers) + request.body.decode()


NO_KEYS: dict[str, tuple[str, ...]] = {
    "none": (),
    "unknown": (bearer("client-key-canary-0000000000"),),
    "empty": (bearer(""),),
    "a prefix": (bearer(KEY[:-1]),),
    "another scheme": (f"Authorization: Basic {KEY}",),
    "no scheme": (f"Authorization: {KEY}",),
    "the name": (bearer("alice"),),
    "two keys": (bearer(), bearer(KEYS["bob"])),
    "another field": (f"X-Client-Key: {KEY}",),
    "not ASCII": (bearer("clé"),),
}


@ONE_SERVER
@pytest.mark.parametrize("lines", NO_KEYS.values(), ids=NO_KEYS)
def test_without_a_valid_client_key_the_answer_is_401(
    keyed: Client, providers: Providers, lines: tuple[str, ...]
) -> None:
    response = keyed.ask(request_bytes(DASHSCOPE, CHAT, *lines))

    assert response.status == 401
    error = response.error()
    assert (error["code"], error["type"]) == ("invalid_client_key", "authentication_error")
    assert response.header("www-authenticate") == "Bearer"
    assert KEY not in repr(response)
    assert not providers.requests


def test_private_takes_a_client_key_from_behind_a_proxy(mesh_on: MeshOn, connect: Connect) -> None:
    client = connect(mesh_on("uvicorn-httptools", client_keys=KEYS))
    proxied = "X-Forwarded-For: 203.0.113.9"

    assert client.ask(request_bytes(DASHSCOPE, CHAT, proxied, bearer())).status == 200
    assert client.ask(request_bytes(DASHSCOPE, CHAT, proxied, bearer("no"))).status == 401
    assert client.ask(request_bytes(DASHSCOPE, CHAT, proxied)).status == 403
    assert client.ask(request_bytes(DASHSCOPE, CHAT, bearer("no"))).status == 200


def by_consumer() -> list[LLMProvider | LLMRoute]:
    """A route whose rules go by the consumer and the plan."""
    documents = [provider(DASHSCOPE, DASHSCOPE_KEY), provider(MOONSHOT, MOONSHOT_KEY)]
    rules = [
        {
            "name": "vip",
            "matches": [
                {"attributes": {"plan": {"exact": "vip"}}},
                {"attributes": {"consumer": {"exact": "bob"}}},
            ],
            "backendRefs": [{"providerHost": MOONSHOT}],
        },
        {"name": "rest", "backendRefs": [{"providerHost": DASHSCOPE}]},
    ]
    route = document("LLMRoute", "by-consumer", {"host": DEMO, "rules": rules})
    return [*documents, LLMRoute.model_validate(route)]


def provider(host: str, key: str) -> LLMProvider:
    config = {"model": "m", "apiKey": key}
    spec = {
        "host": host,
        "path": "/v1/chat/completions",
        "configs": {"defaultConfig": {"openAIConfig": config}},
    }
    return LLMProvider.model_validate(document("LLMProvider", host, spec))


def document(kind: str, name: str, spec: dict[str, object]) -> dict[str, object]:
    api = "istio.alibabacloud.com/v1"
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec}


async def ask(mesh: LLMMeshMiddleware, **headers: str) -> httpx.Response:
    """One request through the middleware from a loopback peer."""
    transport = httpx.ASGITransport(mesh, client=PEER)
    async with httpx.AsyncClient(transport=transport) as client:
        answer = await client.post(f"http://{DEMO}/", content=CHAT, headers=headers)
    await mesh.mesh.aclose()
    return answer


def rule(answer: httpx.Response) -> str | None:
    assert answer.status_code == 200, answer.text
    return answer.headers.get("x-llm-mesh-rule")


def client_facts(scope: Scope) -> dict[str, str]:
    """What the application knows of a client."""
    headers = dict(scope["headers"])
    return {"plan": headers.get(b"x-test-plan", b"free").decode()}


async def test_the_name_of_a_client_key_is_the_consumer_in_matching(providers: Providers) -> None:
    mesh = LLMMeshMiddleware(
        own_app,
        config=by_consumer(),
        settings=providers.settings(config=(), client_keys=KEYS),
    )

    assert rule(await ask(mesh, authorization=f"Bearer {KEYS['bob']}")) == "vip"
    assert rule(await ask(mesh, authorization=f"Bearer {KEYS['alice']}")) == "rest"
    assert rule(await ask(mesh)) == "rest"


async def test_the_applications_attributes_take_part_in_matching(providers: Providers) -> None:
    mesh = LLMMeshMiddleware(
        own_app,
        config=by_consumer(),
        settings=providers.settings(config=()),
        attributes=client_facts,
    )

    assert rule(await ask(mesh, **{"x-test-plan": "vip"})) == "vip"
    assert rule(await ask(mesh)) == "rest"


async def test_no_client_header_is_an_attribute(providers: Providers) -> None:
    mesh = LLMMeshMiddleware(
        own_app, config=by_consumer(), settings=providers.settings(config=(), client_keys=KEYS)
    )

    assert rule(await ask(mesh, plan="vip", consumer="bob")) == "rest"


async def test_the_consumer_of_a_key_goes_before_what_the_application_says(
    providers: Providers,
) -> None:
    mesh = LLMMeshMiddleware(
        own_app,
        config=by_consumer(),
        settings=providers.settings(config=(), client_keys=KEYS),
        attributes=lambda scope: {"consumer": "bob"},
    )

    assert rule(await ask(mesh, authorization=f"Bearer {KEYS['alice']}")) == "rest"
    assert rule(await ask(mesh)) == "vip"


@pytest.mark.parametrize(
    ("access", "allowed", "refused"), [("private", 200, 403), ("keys", 200, 401)]
)
async def test_authorize_decides_where_nothing_else_admits(
    providers: Providers, access: str, allowed: int, refused: int
) -> None:
    asked: list[object] = []

    def authorize(scope: Scope) -> bool:
        asked.append(scope["path"])
        return dict(scope["headers"]).get(b"cookie") == b"session=good"

    mesh = LLMMeshMiddleware(
        own_app, settings=providers.settings(access=access), authorize=authorize
    )
    proxied = {"x-forwarded-for": "203.0.113.9"}

    assert (await ask(mesh, cookie="session=good", **proxied)).status_code == allowed
    assert (await ask(mesh, cookie="session=bad", **proxied)).status_code == refused
    assert asked == ["/", "/"]
    assert [request.header("cookie") for request in providers.requests] == [None]


async def test_authorize_is_not_asked_about_a_valid_client_key(providers: Providers) -> None:
    def authorize(scope: Scope) -> bool:
        raise AssertionError("nobody asked")

    settings = providers.settings(client_keys={"alice": KEY})
    mesh = LLMMeshMiddleware(own_app, settings=settings, authorize=authorize)

    assert (await ask(mesh, authorization=f"Bearer {KEY}")).status_code == 200


@pytest.mark.parametrize("peer", ["100.64.0.7", "::ffff:100.64.0.7", "2a00::1", "no address", ""])
async def test_a_peer_that_is_not_private_is_refused(providers: Providers, peer: str) -> None:
    mesh = LLMMeshMiddleware(own_app, settings=providers.settings())
    transport = httpx.ASGITransport(mesh, client=(peer, 5))
    async with httpx.AsyncClient(transport=transport) as client:
        answer = await client.post(f"http://{DASHSCOPE}/", content=CHAT)

    assert answer.status_code == 403
    assert not providers.requests


async def test_a_peer_without_an_address_is_refused(providers: Providers) -> None:
    mesh = LLMMeshMiddleware(own_app, settings=providers.settings())

    async def without_client(scope: Scope, receive: Any, send: Any) -> None:
        await mesh(scope | {"client": None}, receive, send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(without_client)) as client:
        answer = await client.post(f"http://{DASHSCOPE}/", content=CHAT)

    assert answer.status_code == 403
    assert not providers.requests
