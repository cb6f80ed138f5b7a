"""Credentials that the libraries of Amazon and Google find in the environment, over sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from llm_mesh_middleware.testing import Answer, FakeUpstream
from tests.canaries import canary
from tests.clouds import converse
from tests.clouds.bench import HOST, Bench, bench
from tests.clouds.test_gemini_relay import ANSWER

pytestmark = pytest.mark.slow  # for the libraries

SECRET, SESSION, TOKEN = canary("aws-secret"), canary("aws-session"), canary("google-token")
BEDROCK = {"bedrockConfig": {"model": "m:0", "region": "r", "credentialsFrom": {"default": True}}}
VERTEX: Any = {"project": "p", "location": "l", "credentialsFrom": {"default": True}}
HI: Any = [{"role": "user", "content": "Hi"}]


@pytest.fixture(autouse=True)
def _nothing_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ROLE_ARN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def source() -> Iterator[FakeUpstream]:
    with FakeUpstream(host_names="127.0.0.1", tls=False) as upstream:
        yield upstream


def ask(made: Bench) -> Any:
    sdk = openai.OpenAI(
        base_url=f"http://{HOST}/v1", api_key="none", max_retries=0, http_client=made.client
    )
    return sdk.chat.completions.create(model="m", messages=HI).choices[0].message.content


def test_botocore_finds_the_keys_of_a_container(
    source: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"AccessKeyId": "AKIDEXAMPLE", "SecretAccessKey": SECRET, "Token": SESSION}
    source.always(Answer(body=keys | {"Expiration": "2099-01-01T00:00:00Z"}))
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{source.url}/keys")
    with bench(BEDROCK) as made:
        made.upstream.always(converse.answer({"text": "Hi"}))
        assert [ask(made), ask(made)] == ["Hi", "Hi"]
        for request in made.upstream.requests:
            signed = request.header("authorization") or ""
            assert "Credential=AKIDEXAMPLE/" in signed
            assert "/r/bedrock/aws4_request" in signed
            assert request.header("x-amz-security-token") == SESSION
    assert [request.path for request in source.requests] == ["/keys"]


def test_an_environment_without_keys_is_told_by_the_providers_name() -> None:
    with bench(BEDROCK) as made:
        with pytest.raises(openai.InternalServerError) as raised:
            ask(made)
        assert (raised.value.status_code, raised.value.code) == (502, "upstream_credential_error")
        assert "provider 'models'" in raised.value.message
        assert not made.upstream.requests


def test_google_auth_finds_the_file_of_an_account(
    source: FakeUpstream, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = generate_private_key(65537, 2048)
    file = tmp_path / "account.json"
    account = {
        "type": "service_account",
        "project_id": "p",
        "client_email": "mesh@p.iam.example",
        "private_key": key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ).decode(),
        "private_key_id": "k1",
        "token_uri": f"{source.url}/token",
    }
    file.write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    source.always(Answer(body={"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}))
    with bench({"geminiConfig": {"model": "m", "vertex": VERTEX}}) as made:
        made.upstream.always(Answer(body=ANSWER))
        assert ask(made) == ask(made)
        for request in made.upstream.requests:
            assert request.header("authorization") == f"Bearer {TOKEN}"
    assert [request.path for request in source.requests] == ["/token"]


def test_a_file_that_is_not_there_is_not_named_to_clients(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "absent.json"))
    with bench({"geminiConfig": {"model": "m", "vertex": VERTEX}}) as made:
        with pytest.raises(openai.InternalServerError) as raised:
            ask(made)
        assert raised.value.status_code == 502
        assert "provider 'models'" in raised.value.message
        assert "absent.json" not in raised.value.message
        assert not made.upstream.requests
