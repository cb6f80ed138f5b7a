"""The siblings of openAIConfig: what each needs, and the calls that it makes."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

import pytest

from llm_mesh_middleware._core.values.messages import UpstreamRequest
from tests.canaries import canary
from tests.core.scripted import sent
from tests.core.tables import compiled, request, route, table
from tests.rows import rows

KEY = canary("dialects")
HOST = "models.example"
MESSAGES = '{"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}'


def document(config: str, *, host: str = HOST, specific: str = "{}", spec: str = "") -> str:
    """An LLMProvider: `config` is its defaultConfig, in YAML flow style."""
    lines = f"host: {host}\n{dedent(spec)}\nconfigs:\n  defaultConfig: {config}\n"
    lines += f"  routeSpecificConfigs: {specific}\n"
    head = "apiVersion: istio.alibabacloud.com/v1beta1\nkind: LLMProvider\nmetadata: {name: it}\n"
    return f"{head}spec:\n{indent(lines, '  ')}"


def call(
    config: str,
    body: str = '{"model": "asked"}',
    *fields: str,
    path: str = "/v1/messages",
    host: str = HOST,
    spec: str = "",
) -> UpstreamRequest:
    routes = table(document(config, host=host, spec=spec))
    return sent(routes, request(*fields, path=path, body=body), host=host)


def header(made: UpstreamRequest, name: str) -> list[bytes]:
    return [value for field, value in made.headers if field == name.encode()]


@rows(
    ("host", "field", "target"),
    [
        ("api.anthropic.com", "x-api-key", "/v1/messages"),
        ("claude.example", "x-api-key", "/v1/messages"),
        ("res.services.ai.azure.com", "api-key", "/anthropic/v1/messages"),
    ],
)
def test_anthropic_is_called_with_its_own_key_field_and_version(
    host: str, field: str, target: str
) -> None:
    made = call(f"{{anthropicConfig: {{apiKey: {KEY}}}}}", host=host)
    assert (made.target, made.body) == (target, b'{"model":"asked"}')
    assert header(made, field) == [KEY.encode()]
    assert header(made, "authorization") == []
    assert header(made, "anthropic-version") == [b"2023-06-01"]


@rows(
    ("config", "asked", "wanted"),
    [
        ("{}", "", b"2023-06-01"),
        ("{}", "2099-01-01", b"2099-01-01"),
        ("{version: 2023-01-01}", "2099-01-01", b"2023-01-01"),
    ],
)
def test_the_version_is_the_configured_or_the_clients_or_the_usual_one(
    config: str, asked: str, wanted: bytes
) -> None:
    fields = [f"anthropic-version:{asked}"] if asked else []
    config = config.replace("2023-01-01", '"2023-01-01"')
    made = call(f"{{anthropicConfig: {config}}}", "{}", *fields)
    assert header(made, "anthropic-version") == [wanted]


@rows(
    ("betas", "wanted"),
    [
        ("", [b"a-1,b-2,c-3"]),
        (", betas: ['*']", [b"a-1,b-2,c-3"]),
        (", betas: [b-2]", [b"b-2"]),
        (", betas: [z-9]", []),
    ],
)
def test_only_allowed_betas_pass(betas: str, wanted: list[bytes]) -> None:
    config = f"{{anthropicConfig: {{apiKey: {KEY}{betas}}}}}"
    made = call(config, "{}", "anthropic-beta:a-1, b-2", "anthropic-beta:c-3")
    assert header(made, "anthropic-beta") == wanted


VERTEX = f"vertex: {{project: p1, location: us-east5, accessToken: {KEY}}}"
VERTEX_BASE = "/v1/projects/p1/locations/us-east5/publishers/anthropic/models"


@rows(
    ("body", "target", "sent_body"),
    [
        (
            '{"model": "claude@1", "max_tokens": 1e0}',
            f"{VERTEX_BASE}/claude%401:rawPredict",
            b'{"max_tokens":1e0,"anthropic_version":"vertex-2023-10-16"}',
        ),
        (
            '{"model": "claude", "stream": true}',
            f"{VERTEX_BASE}/claude:streamRawPredict",
            b'{"stream":true,"anthropic_version":"vertex-2023-10-16"}',
        ),
        (
            '{"model": "a/b:c", "anthropic_version": "theirs"}',
            f"{VERTEX_BASE}/a%2Fb%3Ac:rawPredict",
            b'{"anthropic_version":"theirs"}',
        ),
    ],
)
def test_anthropic_on_vertex_has_the_model_in_its_path(
    body: str, target: str, sent_body: bytes
) -> None:
    made = call(f"{{anthropicConfig: {{{VERTEX}}}}}", body, "anthropic-version:2023-06-01")
    assert (made.target, made.body) == (target, sent_body)
    assert header(made, "authorization") == [f"Bearer {KEY}".encode()]
    assert header(made, "anthropic-version") == []


@rows(
    ("betas", "body", "target", "sent_body"),
    [
        (
            "",
            '{"model": "us.claude-v1:0", "max_tokens": 5}',
            "/model/us.claude-v1%3A0/invoke",
            b'{"max_tokens":5,"anthropic_version":"bedrock-2023-05-31"}',
        ),
        (
            ", betas: [b-2]",
            '{"model": "m", "stream": true}',
            "/model/m/invoke-with-response-stream",
            b'{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["b-2"]}',
        ),
        (
            "",
            '{"model": "arn:aws:bedrock:r:1:x/y", "stream": false}',
            "/model/arn%3Aaws%3Abedrock%3Ar%3A1%3Ax%2Fy/invoke",
            b'{"anthropic_version":"bedrock-2023-05-31"}',
        ),
    ],
)
def test_anthropic_on_bedrock_has_model_and_form_in_its_path(
    betas: str, body: str, target: str, sent_body: bytes
) -> None:
    config = f"{{bedrockConfig: {{region: r, api: invoke, apiKey: {KEY}{betas}}}}}"
    made = call(config, body, "anthropic-beta:a-1,b-2")
    assert (made.target, made.body) == (target, sent_body)
    assert header(made, "authorization") == [f"Bearer {KEY}".encode()]
    assert header(made, "anthropic-beta") == header(made, "anthropic-version") == []


@rows(
    ("config", "path", "target"),
    [
        ("", "/v1/chat/completions", "/openai/v1/chat/completions"),
        ("", "/v1/responses", "/openai/v1/responses"),
        ("", "/v1/embeddings", "/openai/v1/embeddings"),
        (
            ", deployment: gpt/eu, apiVersion: '2024-10-21'",
            "/v1/chat/completions",
            "/openai/deployments/gpt%2Feu/chat/completions?api-version=2024-10-21",
        ),
        (
            ", deployment: gpt, apiVersion: '2024-10-21'",
            "/v1/embeddings",
            "/openai/deployments/asked/embeddings?api-version=2024-10-21",
        ),
        (
            ", modelMapping: {asked: mine}, apiVersion: v",
            "/v1/completions",
            "/openai/deployments/mine/completions?api-version=v",
        ),
    ],
)
def test_azure_is_called_by_deployment_or_by_its_v1_paths(
    config: str, path: str, target: str
) -> None:
    made = call(f"{{azureOpenAIConfig: {{apiKey: {KEY}{config}}}}}", path=path)
    assert made.target == target
    assert header(made, "api-key") == [KEY.encode()]
    assert header(made, "authorization") == []


def test_the_deployment_replaces_the_model_of_the_body() -> None:
    config = f"{{azureOpenAIConfig: {{apiKey: {KEY}, deployment: mine}}}}"
    assert call(config, path="/v1/chat/completions").body == b'{"model":"mine"}'


PLACE = "spec.configs.defaultConfig"
FAULTS = [
    ("{openAIConfig: {}, anthropicConfig: {}}", "anthropicConfig", "with openAIConfig"),
    (
        "{anthropicConfig: {}, azureOpenAIConfig: {}}",
        "azureOpenAIConfig",
        "with anthropicConfig",
    ),
    ("{anthropicConfig: {maxTokens: 0}}", "anthropicConfig.maxTokens", "at least 1"),
    ("{anthropicConfig: {region: a}}", "anthropicConfig.region", "unknown field"),
    ("{openAIConfig: {apis: [chats]}}", "openAIConfig.apis[0]", "must be one of"),
    ("{openAIConfig: {unsupportedFields: keep}}", "openAIConfig.unsupportedFields", "must be one"),
    ("{anthropicConfig: {reasoning: {huge: 1}}}", "anthropicConfig.reasoning.huge", "one of"),
    ("{anthropicConfig: {vertex: {project: p}}}", "anthropicConfig.vertex.location", "is missing"),
    ("{anthropicConfig: {vertex: {location: p}}}", "anthropicConfig.vertex.project", "is missing"),
    (
        "{anthropicConfig: {vertex: {project: p, location: l, accessToken: a,"
        " credentialsFrom: {default: true}}}}",
        "anthropicConfig.vertex",
        "only one of",
    ),
    ("{bedrockConfig: {apiKey: k}}", "bedrockConfig.region", "is missing"),
    ("{bedrockConfig: {region: r}}", "bedrockConfig.credentialsFrom", "set one of"),
    (
        "{bedrockConfig: {region: r, apiKey: k, credentialsFrom: {default: true}}}",
        "bedrockConfig",
        "only one of",
    ),
    (
        "{bedrockConfig: {region: r, credentials: {accessKeyId: a}}}",
        "bedrockConfig.credentials",
        "must have secretAccessKey or",
    ),
    (
        "{bedrockConfig: {region: r, credentials: {accessKeyId: a, secretAccessKey: b,"
        " secretAccessKeyFrom: {env: A}}}}",
        "bedrockConfig.credentials",
        "both secretAccessKey and",
    ),
    (
        "{bedrockConfig: {region: r, credentials: {accessKeyId: a, secretAccessKeyFrom:"
        " {env: NOT_THERE}}}}",
        "bedrockConfig.credentials.secretAccessKeyFrom.env",
        "$NOT_THERE is missing",
    ),
    ("{azureOpenAIConfig: {apiVersion: v}}", "azureOpenAIConfig.deployment", "is missing"),
    (
        "{anthropicConfig: {vertex: {project: p, location: l, credentialsFrom: {file: nowhere}}}}",
        "anthropicConfig.vertex.credentialsFrom.file",
        "cannot read nowhere",
    ),
]


@rows(("config", "field", "message"), FAULTS)
def test_what_is_missing_or_too_much_is_told_with_its_place(
    config: str, field: str, message: str
) -> None:
    result = compiled(document(config))
    assert result.table is None
    (problem,) = result.problems
    assert problem.field == f"{PLACE}.{field}"
    assert message in problem.message
    assert problem.line >= 7


def test_a_file_that_is_no_key_of_a_service_account_is_refused(tmp_path: Path) -> None:
    for number, text in enumerate(("", "{}", "[1]", '{"client_email": "a", "private_key": "b"}')):
        path = tmp_path / f"{number}.json"
        path.write_text(text)
        config = (
            "{anthropicConfig: {vertex: {project: p, location: l,"
            f" credentialsFrom: {{file: {str(path)!r}}}}}}}}}"
        )
        (problem,) = compiled(document(config)).problems
        assert "is not the key file of a service account" in problem.message


@rows(
    ("specific", "begin"),
    [
        ("{}", b"Credential=A/19700101/eu/"),
        ("{bedrockConfig: {region: us}}", b"Credential=A/19700101/us/"),
        (
            "{bedrockConfig: {credentials: {accessKeyId: B, secretAccessKey: secret}}}",
            b"Credential=B/19700101/eu/",
        ),
        ("{bedrockConfig: {apiKey: kkkkkkkk}}", b"Bearer kkkkkkkk"),
        ("{anthropicConfig: {headers: {x-a: b}}}", None),
    ],
)
def test_a_rule_inherits_from_the_same_dialect_only(specific: str, begin: bytes | None) -> None:
    config = "{bedrockConfig: {region: eu, credentials: {accessKeyId: A, secretAccessKey: secret}}}"
    routes = table(
        document(config, specific=f"{{vip: {specific}}}"),
        route(f"- name: vip\n  backendRefs: [{{providerHost: {HOST}}}]"),
    )
    made = sent(routes, request(path="/v1/messages", body=MESSAGES))
    found = header(made, "authorization")
    assert [value for value in found if begin is None or begin in value] == found
    assert bool(found) is (begin is not None)


def test_a_model_that_the_path_needs_and_nobody_names_is_the_clients_fault() -> None:
    routes = table(document(f"{{bedrockConfig: {{region: r, apiKey: {KEY}}}}}"))
    with pytest.raises(Exception, match="names no model"):
        sent(routes, request(path="/v1/messages", body=MESSAGES.replace("model", "x")), host=HOST)
