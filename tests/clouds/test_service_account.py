"""Access tokens bought over a socket with the key of a service account."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from llm_mesh_httpx.httpx2 import AsyncMeshTransport, MeshTransport
from llm_mesh_middleware import LLMRoute, Mesh, MeshSettings
from llm_mesh_middleware.testing import Answer, FakeUpstream, RecordedRequest
from tests.clouds.bench import provider
from tests.clouds.test_gemini_relay import ANSWER

HOST, OTHER = "vertex.example", "other.example"
TOKEN = "ya29.a-token-that-was-fetched-0123456789"
URL = f"http://{HOST}/v1beta/models/m:generateContent"
ASKED: Any = {"contents": [{"parts": [{"text": "Hi"}]}]}


@pytest.fixture(scope="module")
def key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


@pytest.fixture
def tokens() -> Iterator[FakeUpstream]:
    with FakeUpstream(host_names="127.0.0.1", tls=False) as upstream:
        body = {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}
        upstream.always(Answer(200, body=body))
        yield upstream


@pytest.fixture
def vertex() -> Iterator[FakeUpstream]:
    with FakeUpstream(host_names=HOST, tls=False) as upstream:
        upstream.always(Answer(200, body=ANSWER))
        yield upstream


@pytest.fixture
def config(tokens: FakeUpstream, key: RSAPrivateKey, tmp_path: Path) -> dict[str, Any]:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    file = tmp_path / "account.json"
    account = {
        "client_email": "mesh@p.iam.example",
        "private_key": pem,
        "private_key_id": "k1",
        "token_uri": f"http://127.0.0.1:{tokens.port}/token",
    }
    file.write_text(json.dumps(account))
    place = {"project": "p", "location": "l", "credentialsFrom": {"file": str(file)}}
    return {"geminiConfig": {"vertex": place}}


def claims(request: RecordedRequest, key: RSAPrivateKey) -> dict[str, Any]:
    """The claims of an assertion with the right signature."""
    (assertion,) = parse_qs(request.body.decode())["assertion"]
    unsigned, _, signature = assertion.rpartition(".")
    decoded = urlsafe_b64decode(signature + "==")
    key.public_key().verify(decoded, unsigned.encode(), PKCS1v15(), SHA256())
    found: dict[str, Any] = json.loads(urlsafe_b64decode(unsigned.partition(".")[2] + "=="))
    return found


def test_one_token_serves_all_calls_and_is_never_shown(
    tokens: FakeUpstream, vertex: FakeUpstream, config: dict[str, Any], key: RSAPrivateKey
) -> None:
    made = provider(config, f"http://127.0.0.1:{vertex.port}", host=HOST)
    mesh = Mesh([made], settings=MeshSettings())
    with httpx2.Client(transport=MeshTransport(mesh)) as client, ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda _: client.post(URL, json=ASKED), range(16)))
        assert [each.status_code for each in got] == [200] * 16
        (asked,) = tokens.requests
        said = claims(asked, key)
        assert (said["iss"], said["aud"]) == (
            "mesh@p.iam.example",
            f"http://127.0.0.1:{tokens.port}/token",
        )
        assert said["exp"] - said["iat"] == 3600
        sent = {request.header("authorization") for request in vertex.requests}
        assert sent == {f"Bearer {TOKEN}"}
        vertex.always(Answer(400, body={"error": {"code": 400, "message": f"bad {TOKEN}"}}))
        assert client.post(URL, json=ASKED).json()["error"]["message"] == "bad ***"
    mesh.close()


async def test_an_event_loop_shares_a_token_too(
    tokens: FakeUpstream, vertex: FakeUpstream, config: dict[str, Any]
) -> None:
    made = provider(config, f"http://127.0.0.1:{vertex.port}", host=HOST)
    mesh = Mesh([made], settings=MeshSettings())
    async with httpx2.AsyncClient(transport=AsyncMeshTransport(mesh)) as client:
        got = await asyncio.gather(*(client.post(URL, json=ASKED) for _ in range(16)))
        assert [each.status_code for each in got] == [200] * 16
    assert len(tokens.requests) == 1
    await mesh.aclose()


REFUSALS = [
    Answer(400, body={"error": "invalid_grant", "error_description": "secret words"}),
    Answer(500, body="secret words"),
    Answer(200, body={"token_type": "Bearer"}),
    Answer(200, body={"access_token": "a\nb"}),
    Answer(200, body="x" * 100_000),
]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_token_that_cannot_be_had_is_a_502_that_names_the_provider_alone(
    tokens: FakeUpstream, vertex: FakeUpstream, config: dict[str, Any], refusal: Answer
) -> None:
    tokens.always(refusal)
    made = provider(config, f"http://127.0.0.1:{vertex.port}", host=HOST)
    mesh = Mesh([made], settings=MeshSettings())
    with httpx2.Client(transport=MeshTransport(mesh)) as client:
        got = client.post(URL, json=ASKED)
    mesh.close()
    assert got.status_code == 502
    message = got.json()["error"]["message"]
    assert message.startswith("no access token for provider 'vertex': 127.0.0.1 answered")
    assert "secret" not in message
    assert vertex.requests == []


def test_another_backend_serves_while_a_token_cannot_be_had(
    tokens: FakeUpstream, vertex: FakeUpstream, config: dict[str, Any]
) -> None:
    tokens.always(Answer(503))
    url = f"http://127.0.0.1:{vertex.port}"
    refs = [{"providerHost": HOST, "priority": 0}, {"providerHost": OTHER, "priority": 1}]
    route = LLMRoute.model_validate(
        {"metadata": {"name": "r"}, "spec": {"host": "chat", "rules": [{"backendRefs": refs}]}}
    )
    providers = [
        provider(config, url, host=HOST),
        provider({"geminiConfig": {"apiKey": "k"}}, url, host=OTHER),
    ]
    mesh = Mesh([*providers, route], settings=MeshSettings())
    with httpx2.Client(transport=MeshTransport(mesh)) as client:
        got = client.post(URL.replace(HOST, "chat"), json=ASKED)
    assert got.status_code == 200
    assert got.headers["x-llm-mesh-provider"] == "other"
    mesh.close()
