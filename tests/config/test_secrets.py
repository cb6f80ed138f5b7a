"""A key is in no message and no repr, whatever is wrong around it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from llm_mesh_middleware.config import OpenAIConfig
from llm_mesh_middleware.exceptions import ConfigError
from llm_mesh_middleware.settings import load_settings
from tests.config.documents import CANARY, config, parse, provider
from tests.rows import rows
from tests.texts import texts

PIECES = [CANARY[start : start + 8] for start in range(len(CANARY) - 7)]

WRITTEN = [
    f"apiKey: {CANARY}\nmodel: 5",
    f'apiKey: "{CANARY}\\n"',
    f'apiKey: "{CANARY}\\0"',
    f"apiKey: {CANARY}通",
    f"apiKey: ' {CANARY}'",
    f"apiKey: [{CANARY}]",
    f"apiKey: {{value: {CANARY}}}",
    f"apiKey: {{{CANARY}: x}}",
    f"apiKey: {{{CANARY}: x, {CANARY}: y}}",
    f"apiKey: {CANARY}: x",
    f"apiKey: '{CANARY}",
    f'apiKey: "{CANARY}\\q"',
    f"apiKey: *{CANARY}",
    f"apiKey: !{CANARY} x",
    f"apiKey: !{CANARY}!x y",
    f"apiKey: @{CANARY}",
    f"apiKey: ${{{CANARY}}}",
    f"apiKey: {CANARY}\napiKey: {CANARY}",
    f"apiKey: {CANARY}\napiKeyFrom: {{env: A}}",
    f"apiKey: {CANARY}\nunknown: 1",
    f"apikey: {CANARY}",
    f"apiKeyFrom: {CANARY}",
    f"apiKeyFrom: {{env: {CANARY}}}",
    f'apiKeyFrom: {{file: "{CANARY}\\n"}}',
    f"apiKeyFrom: {{secretKeyRef: {CANARY}}}",
    f"apiKeyFrom: {{secretKeyRef: {{name: {CANARY}}}}}",
    f"apiKeyFrom: {{{CANARY}: 1}}",
    f"apiKeyFrom: {{value: {CANARY}}}",
    f"headers: {CANARY}",
    f"headers: [{CANARY}]",
    f'headers: {{x-a: "{CANARY}\\r"}}',
    f"headers: {{x-a: [{CANARY}]}}",
    f"headers: {{authorization: Bearer {CANARY}}}",
    f"headers: {{X-Key: {CANARY}}}",
    f"headers: {{x-a: {CANARY}, x-a: {CANARY}}}",
    f"- apiKey: {CANARY}",
    f"{CANARY}",
]
SUBSTITUTED = [
    "apiKey: ${KEY}\nmodel: 5",
    "apiKey: ${KEY}通",
    'apiKey: "${KEY}\\n"',
    "model: '${KEY}通'",
    "stream: ${KEY}",
    "headers: {x-a: '${KEY}通'}",
    "apiKeyFrom: {env: '${KEY}'}",
    "apiKeyFrom: '${KEY}'",
]


def assert_hidden(text: str) -> None:
    assert [piece for piece in PIECES if piece in text] == []


@rows("openai", WRITTEN)
def test_a_key_in_the_text_is_in_no_problem(openai: str) -> None:
    manifest = parse(config(openai))
    assert manifest.problems
    assert_hidden(str(ConfigError(manifest.problems)))
    assert_hidden(repr(manifest))


@rows("openai", SUBSTITUTED)
def test_a_key_from_the_environment_is_in_no_problem(openai: str) -> None:
    manifest = parse(config(openai), {"KEY": CANARY})
    assert manifest.problems
    assert_hidden(str(ConfigError(manifest.problems)))


@rows(
    "spec",
    [
        "host: ${KEY}!",
        "host: a\npath: ${KEY}",
        "host: a\nendpoint: ${KEY}",
        f"host: a\nendpoint: https://user:{CANARY}@b",
        f"host: https://user:{CANARY}@b",
        f"host: a\ntls: {{clientCertFile: a, clientKeyFile: [{CANARY}]}}",
        f"host: a\ntls:\n  clientCertFile: a\n  clientKeyFile: |\n    KEY\n    {CANARY}",
        f"host: a\ntls:\n  caFile: |\n    BEGIN\n    {CANARY}",
    ],
)
def test_a_key_in_the_wrong_place_is_in_no_problem(spec: str) -> None:
    manifest = parse(provider(spec), {"KEY": CANARY})
    assert manifest.problems
    assert_hidden(str(ConfigError(manifest.problems)))


def test_a_good_key_is_in_no_repr() -> None:
    manifest = parse(config(f"apiKey: {CANARY}\nheaders: {{x-a: {CANARY}}}"))
    (resource,) = manifest.resources
    for shown in (repr(manifest), repr(resource.root), str(resource.model)):
        assert_hidden(shown)
    assert_hidden(resource.model.model_dump_json())


def test_the_validation_error_of_a_model_made_in_python_hides_the_key() -> None:
    with pytest.raises(ValidationError) as caught:
        OpenAIConfig.model_validate({"apiKey": f"{CANARY}\n", "headers": {"x-a": [CANARY]}})
    assert_hidden(str(caught.value))


@pytest.mark.parametrize(
    "value",
    [
        json.dumps({"web": f"{CANARY}\n"}),
        json.dumps({"web": [CANARY]}),
        json.dumps({"web": CANARY, "app": CANARY}),
        json.dumps({f"{CANARY}\n": "web"}),
        json.dumps([CANARY]),
        json.dumps({"web": CANARY})[:-1],
        f'{{"web": "{CANARY}", "web": "{CANARY}"}}',
        f"{{web: {CANARY}}}",
        CANARY,
    ],
)
def test_a_client_key_is_in_no_problem(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_MESH_CLIENT_KEYS", value)
    with pytest.raises(ConfigError) as caught:
        load_settings(access="nobody")
    assert len(caught.value.problems) == 2
    assert_hidden(str(caught.value))
    assert_hidden(repr(caught.value.__context__))


def test_a_good_client_key_is_in_no_repr() -> None:
    settings = load_settings(client_keys={"web": CANARY})
    assert settings.client_keys["web"].get_secret_value() == CANARY
    assert_hidden(repr(settings))
    assert_hidden(settings.model_dump_json())


@given(texts(max_size=12), texts(max_size=12), st.sampled_from(["'", '"', ""]))
def test_no_text_around_a_key_brings_it_into_a_problem(before: str, after: str, quote: str) -> None:
    manifest = parse(config(f"apiKey: {quote}{before}{CANARY}{after}{quote}\nmodel: [5]"))
    assert_hidden(str(ConfigError(manifest.problems)))
