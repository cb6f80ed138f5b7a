"""Tokens of Microsoft Entra for what Azure has given a workload, an app or a machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anthropic
import pytest
from pydantic import ValidationError

from llm_mesh_middleware.config import AnthropicConfig
from llm_mesh_middleware.testing import Answer, FakeUpstream
from tests.canaries import canary
from tests.clouds.bench import HOST, Bench, bench
from tests.core.tables import compiled
from tests.translation.messages_shapes import message, text

TOKEN, HEADER, VOUCHER = canary("azure-token"), canary("azure-header"), canary("azure-voucher")
ASK: Any = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
AMBIENT = {"credentialsFrom": {"default": True}}
VARIABLES = (
    "AZURE_AUTHORITY_HOST",
    "AZURE_CLIENT_ID",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_POD_IDENTITY_AUTHORITY_HOST",
    "AZURE_TENANT_ID",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
)


@pytest.fixture(autouse=True)
def _nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def azure() -> Iterator[FakeUpstream]:
    with FakeUpstream(host_names="127.0.0.1", tls=False) as upstream:
        body = {"access_token": TOKEN, "expires_in": "3599", "token_type": "Bearer"}
        upstream.always(Answer(200, body=body))
        yield upstream


def asked(made: Bench) -> None:
    made.upstream.always(Answer(body=message(text("Hi"))))
    sdk = anthropic.Anthropic(
        base_url=f"http://{HOST}", api_key="none", max_retries=0, http_client=made.client
    )
    for _ in range(2):
        assert sdk.messages.create(**ASK).content[0].type == "text"
    for request in made.upstream.requests:
        assert request.header("authorization") == f"Bearer {TOKEN}"
        assert request.header("x-api-key") is None


def query_of(target: str) -> Mapping[str, str]:
    return {name: value for name, (value,) in parse_qs(urlsplit(target).query).items()}


def test_a_machine_asks_its_metadata(azure: FakeUpstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", azure.url)
    with bench({"anthropicConfig": {"entra": AMBIENT | {"clientId": "mine"}}}) as made:
        asked(made)
    (bought,) = azure.requests
    assert (bought.method, bought.path) == ("GET", "/metadata/identity/oauth2/token")
    assert query_of(bought.target) == {
        "api-version": "2018-02-01",
        "resource": "https://ai.azure.com",
        "client_id": "mine",
    }
    assert bought.header("metadata") == "true"


def test_an_app_asks_its_own_address(azure: FakeUpstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{azure.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", HEADER)
    body = {"access_token": TOKEN, "expires_on": "4102444800", "resource": "x"}
    azure.always(Answer(200, body=body))
    entra = AMBIENT | {"scope": "https://cognitiveservices.azure.com/.default"}
    with bench({"anthropicConfig": {"entra": entra}}) as made:
        asked(made)
    (bought,) = azure.requests
    assert bought.path == "/msi/token"
    assert query_of(bought.target) == {
        "api-version": "2019-08-01",
        "resource": "https://cognitiveservices.azure.com",
    }
    assert bought.header("x-identity-header") == HEADER


def test_a_workload_shows_the_token_of_its_cluster(
    azure: FakeUpstream, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(f"{VOUCHER}\n")
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(file))
    monkeypatch.setenv("AZURE_TENANT_ID", "my-tenant")
    monkeypatch.setenv("AZURE_CLIENT_ID", "my-client")
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", f"{azure.url}/")
    with bench({"anthropicConfig": {"entra": AMBIENT}}) as made:
        asked(made)
    (bought,) = azure.requests
    assert bought.path == "/my-tenant/oauth2/v2.0/token"
    form = {name: value for name, (value,) in parse_qs(bought.body.decode()).items()}
    assert form == {
        "grant_type": "client_credentials",
        "client_id": "my-client",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": VOUCHER,
        "scope": "https://ai.azure.com/.default",
    }


@pytest.mark.parametrize("status", [200, 400, 404])
def test_an_identity_that_is_not_there_is_told_without_its_secret(
    azure: FakeUpstream, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{azure.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", HEADER)
    azure.always(Answer(status, body={"error": "invalid_request", "error_description": HEADER}))
    with bench({"anthropicConfig": {"entra": AMBIENT}}) as made:
        sdk = anthropic.Anthropic(
            base_url=f"http://{HOST}", api_key="none", max_retries=0, http_client=made.client
        )
        with pytest.raises(anthropic.InternalServerError) as raised:
            sdk.messages.create(**ASK)
    assert raised.value.status_code == 502
    assert "invalid_request" in str(raised.value)
    assert HEADER not in str(raised.value)


DOCUMENT = """
apiVersion: istio.alibabacloud.com/v1beta1
kind: LLMProvider
metadata: {name: it}
spec:
  host: res.services.ai.azure.com
  configs:
    defaultConfig:
      anthropicConfig:
        entra: {credentialsFrom: {default: true}}
"""


FAULTS: list[tuple[dict[str, str], str]] = [
    ({"IDENTITY_ENDPOINT": "nowhere"}, "is not a URL"),
    (
        {
            "AZURE_FEDERATED_TOKEN_FILE": __file__,
            "AZURE_CLIENT_ID": "c",
            "AZURE_TENANT_ID": "t",
            "AZURE_AUTHORITY_HOST": "login",
        },
        "is not a URL",
    ),
    ({"AZURE_POD_IDENTITY_AUTHORITY_HOST": "ftp://x"}, "is not a URL"),
    ({"AZURE_FEDERATED_TOKEN_FILE": "/absent"}, "needs clientId and tenantId"),
    (
        {"AZURE_FEDERATED_TOKEN_FILE": "/absent", "AZURE_CLIENT_ID": "c", "AZURE_TENANT_ID": "t"},
        "cannot read /absent",
    ),
]


@pytest.mark.parametrize(("environ", "said"), FAULTS)
def test_an_environment_that_does_not_fit_is_told_at_load(
    environ: dict[str, str], said: str
) -> None:
    (problem,) = compiled(DOCUMENT, environ=environ).problems
    assert said in problem.message
    assert (problem.source, problem.line) == ("mesh.yaml", 10)


def test_entra_stands_for_the_key() -> None:
    with pytest.raises(ValidationError, match="both entra and an API key"):
        AnthropicConfig.model_validate({"apiKey": "k", "entra": AMBIENT})
