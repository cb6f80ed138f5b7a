"""Azure OpenAI with tokens of Microsoft Entra, and Azure's own SDK before the mesh."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import openai
import pytest
from pydantic import ValidationError

from llm_mesh_middleware.config import AzureOpenAIConfig
from llm_mesh_middleware.testing import Answer, FakeUpstream, chat_completion
from tests.canaries import canary
from tests.clouds.bench import HOST, Bench, bench
from tests.rows import rows

SECRET, TOKEN = canary("entra-secret"), canary("entra-token")
ASK: Any = {"model": "gpt-eu", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture
def issuer() -> Iterator[FakeUpstream]:
    with FakeUpstream(host_names="127.0.0.1", tls=False) as upstream:
        body = {"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"}
        upstream.always(Answer(200, body=body))
        yield upstream


@pytest.fixture
def azure(issuer: FakeUpstream) -> Iterator[Bench]:
    entra = {
        "tenantId": "my-tenant",
        "clientId": "my-application",
        "clientSecret": SECRET,
        "authority": f"http://127.0.0.1:{issuer.port}",
    }
    names = {"gpt-eu": "gpt-eu"}
    config = {"apiVersion": "2024-10-21", "modelMapping": names, "entra": entra}
    with bench({"azureOpenAIConfig": config}) as made:
        made.upstream.always(Answer(200, body=chat_completion("Grüezi")))
        yield made


def sdk(made: Bench) -> openai.AzureOpenAI:
    return openai.AzureOpenAI(
        azure_endpoint=f"http://{HOST}",
        api_version="2024-10-21",
        api_key="unused",
        max_retries=0,
        http_client=made.client,
    )


def test_one_token_serves_all_calls(issuer: FakeUpstream, azure: Bench) -> None:
    for _ in range(3):
        assert sdk(azure).chat.completions.create(**ASK).choices[0].message.content == "Grüezi"
    (bought,) = issuer.requests
    assert bought.path == "/my-tenant/oauth2/v2.0/token"
    form = {name: value for name, (value,) in parse_qs(bought.body.decode()).items()}
    assert form == {
        "grant_type": "client_credentials",
        "client_id": "my-application",
        "client_secret": SECRET,
        "scope": "https://cognitiveservices.azure.com/.default",
    }
    for asked in azure.upstream.requests:
        path = "/openai/deployments/gpt-eu/chat/completions?api-version=2024-10-21"
        assert asked.target == path
        assert asked.header("authorization") == f"Bearer {TOKEN}"
        assert asked.header("api-key") is None


def test_an_issuer_that_refuses_is_told_by_its_code_alone(
    issuer: FakeUpstream, azure: Bench
) -> None:
    refusal = {"error": "invalid_client", "error_description": f"{SECRET} is wrong"}
    issuer.always(Answer(401, body=refusal))
    with pytest.raises(openai.InternalServerError) as raised:
        sdk(azure).chat.completions.create(**ASK)
    assert raised.value.status_code == 502
    assert raised.value.code == "upstream_credential_error"
    assert "invalid_client" in raised.value.message
    assert SECRET not in raised.value.message
    assert not azure.upstream.requests


def test_a_token_that_something_else_renews_is_sent() -> None:
    config = {"deployment": "gpt", "entra": {"accessToken": TOKEN}}
    with bench({"azureOpenAIConfig": config}) as made:
        made.answer(Answer(200, body=chat_completion("Hi")))
        sdk(made).chat.completions.create(**ASK)
        assert made.asked.target == "/openai/v1/chat/completions"
        assert made.asked.header("authorization") == f"Bearer {TOKEN}"
        assert made.asked.json()["model"] == "gpt"


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"entra": {}}, "exactly one of accessToken"),
    ({"entra": {"accessToken": "a", "clientSecret": "b"}}, "exactly one of accessToken"),
    ({"entra": {"clientSecret": "b", "tenantId": "t"}}, "tenantId and clientId"),
    ({"entra": {"accessToken": "a", "credentialsFrom": {"default": True}}}, "exactly one"),
    ({"entra": {"accessToken": "a"}, "apiKey": "k"}, "both entra and an API key"),
    ({"entra": {"accessToken": "a", "authority": "login"}}, "http"),
]


@rows(("config", "message"), WRONG)
def test_what_contradicts_itself_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        AzureOpenAIConfig.model_validate(config)
