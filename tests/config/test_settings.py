"""`MeshSettings` from the environment and from keywords."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from llm_mesh_middleware.exceptions import ConfigError
from llm_mesh_middleware.settings import MeshSettings, load_settings


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("LLM_MESH_"):
            monkeypatch.delenv(name)


DEFAULTS: dict[str, object] = {
    "config": (),
    "endpoints": {},
    "ca_file": None,
    "labels": {},
    "namespace": "default",
    "gateways": ("mesh",),
    "client_keys": {},
    "access": "private",
    "connect_timeout": 5,
    "first_byte_timeout": 60,
    "idle_timeout": 60,
    "request_timeout": 600,
    "max_request_bytes": 32 * 2**20,
    "max_response_bytes": 64 * 2**20,
    "forward_headers": (),
    "origins": (),
    "trust_env": False,
    "default_host": None,
    "reload_interval": 1,
    "sse_keepalive": 0,
    "http_client_spans": "auto",
    "attempt_spans": "on_retry",
    "upstream_client": "auto",
    "spans": True,
    "server_spans": False,
    "metrics": True,
    "asm_metrics": True,
    "chunk_metrics": False,
    "cache_store": None,
    "store": SecretStr("memory:"),
    "store_timeout": 0.05,
    "store_prefix": "llm-mesh",
    "response_headers": True,
    "prices": "none",
    "cost_header": False,
    "cost_attributes": (),
}

GOOD = [
    ("CONFIG", f"a.yaml{os.pathsep}b", ("a.yaml", "b")),
    ("CONFIG", '["a:b.yaml", "c"]', ("a:b.yaml", "c")),
    ("CONFIG", "mesh.yaml", ("mesh.yaml",)),
    ("PRICES", "prices.yaml", "prices.yaml"),
    ("PRICES", "genai-prices", "genai-prices"),
    ("COST_HEADER", "true", True),
    ("COST_ATTRIBUTES", "team, feature", ("team", "feature")),
    ("CONFIG", "kubernetes:", ("kubernetes:",)),
    ("CONFIG", "kubernetes:team", ("kubernetes:team",)),
    ("CONFIG", '["kubernetes:*"]', ("kubernetes:*",)),
    ("CONFIG", "", ()),
    (
        "ENDPOINTS",
        '{"A.example": "https://127.0.0.1:8443/"}',
        {"a.example": "https://127.0.0.1:8443"},
    ),
    ("CA_FILE", "ca.pem", "ca.pem"),
    ("LABELS", "app=web,version=v1", {"app": "web", "version": "v1"}),
    ("LABELS", " app=web , a.b/c=d=e, empty=,", {"app": "web", "a.b/c": "d=e", "empty": ""}),
    ("NAMESPACE", "team", "team"),
    ("GATEWAYS", "mesh, istio-system/egress", ("mesh", "istio-system/egress")),
    ("ACCESS", "open", "open"),
    ("CONNECT_TIMEOUT", "0.5", 0.5),
    ("FIRST_BYTE_TIMEOUT", "7", 7.0),
    ("IDLE_TIMEOUT", "7", 7.0),
    ("REQUEST_TIMEOUT", "7", 7.0),
    ("MAX_REQUEST_BYTES", "1024", 1024),
    ("MAX_RESPONSE_BYTES", "1024", 1024),
    ("FORWARD_HEADERS", "X-Tenant, x-acme-*", ("x-tenant", "x-acme-*")),
    ("ORIGINS", "https://a.example, http://B:80", ("https://a.example", "http://b:80")),
    ("SSE_KEEPALIVE", "15", 15.0),
    ("HTTP_CLIENT_SPANS", "suppress", "suppress"),
    ("ATTEMPT_SPANS", "always", "always"),
    ("TRUST_ENV", "true", True),
    ("TRUST_ENV", "0", False),
    ("UPSTREAM_CLIENT", "httpx", "httpx"),
    ("ASM_METRICS", "false", False),
    ("CHUNK_METRICS", "true", True),
    ("RESPONSE_HEADERS", "false", False),
]

# variable, value, field within it, a part of the message
BAD = [
    ("CONFIG", '["kubernetes:", "a.yaml"]', "", "or kubernetes: alone"),
    ("CONFIG", "kubernetes:a.yaml", "", "must have a namespace after kubernetes:"),
    ("CONFIG", "[a]", "", "must be a JSON list"),
    ("CONFIG", "[5]", "[0]", "must be a string"),
    ("ENDPOINTS", "a=b", "", "must be a JSON object"),
    ("ENDPOINTS", "[]", "", "must be a JSON object"),
    ("ENDPOINTS", "[" * 100_000, "", "must be a JSON object"),
    ("ENDPOINTS", '{"a": "http://b", "a": "http://c"}', "", "no key twice"),
    ("ENDPOINTS", '{"a:80": "http://b"}', "['a:80']", "without a port"),
    ("ENDPOINTS", '{"a.example": "b"}', "['a.example']", "must be http:// or https://"),
    ("ENDPOINTS", '{"a": "https://b/c"}', "a", "got 'https://b/c'"),
    ("LABELS", "app", "", "such as app=web,version=v1, got 'app'"),
    ("LABELS", "=web", "", "such as app=web"),
    ("LABELS", "a=1,a=2", "", "a label twice"),
    ("NAMESPACE", "a\nb", "", "control character"),
    ("CLIENT_KEYS", '{"web": ""}', "web", "must not be empty"),
    ("CLIENT_KEYS", '{"": "key"}', "", "must not be empty"),
    ("CLIENT_KEYS", '{"a": "key", "b": "key"}', "", "the same key"),
    ("ACCESS", "public", "", "must be one of 'private', 'keys' or 'open', got 'public'"),
    ("CONNECT_TIMEOUT", "0", "", "more than 0, got '0'"),
    ("FIRST_BYTE_TIMEOUT", "-1", "", "more than 0"),
    ("IDLE_TIMEOUT", "nan", "", "finite"),
    ("REQUEST_TIMEOUT", "inf", "", "finite"),
    ("REQUEST_TIMEOUT", "10s", "", "must be a number, got the string '10s'"),
    ("MAX_REQUEST_BYTES", "0", "", "more than 0"),
    ("MAX_RESPONSE_BYTES", "64MiB", "", "must be a whole number"),
    ("FORWARD_HEADERS", "Authorization", "[0]", "never goes upstream"),
    ("FORWARD_HEADERS", "x-a,cookie", "[1]", "never goes upstream"),
    ("FORWARD_HEADERS", "x-api-key", "[0]", "never goes upstream"),
    ("FORWARD_HEADERS", "x-forwarded-for", "[0]", "never goes upstream"),
    ("FORWARD_HEADERS", "forwarded", "[0]", "never goes upstream"),
    ("FORWARD_HEADERS", "proxy-*", "[0]", "never goes upstream"),
    ("FORWARD_HEADERS", "x-*", "[0]", "never goes upstream"),
    ("FORWARD_HEADERS", "x-forwarded-*", "[0]", "never goes upstream"),
    ("FORWARD_HEADERS", "connection", "[0]", "never goes upstream"),
    ("FORWARD_HEADERS", "*", "[0]", "not a header name"),
    ("FORWARD_HEADERS", "x-te*", "[0]", "prefix such as x-tenant-*"),
    ("FORWARD_HEADERS", "x-*-a", "[0]", "prefix such as x-tenant-*"),
    ("FORWARD_HEADERS", "a b", "[0]", "not a header name"),
    ("ORIGINS", "https://a.example/,*", "[0]", "must be an origin"),
    ("TRUST_ENV", "maybe", "", "must be true or false, got the string 'maybe'"),
    ("UPSTREAM_CLIENT", "requests", "", "must be one of"),
]


def test_the_defaults_are_those_of_the_documentation() -> None:
    assert load_settings().model_dump() == DEFAULTS


@pytest.mark.parametrize(("name", "value", "expected"), GOOD)
def test_a_variable_is_read(
    name: str, value: str, expected: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"LLM_MESH_{name}", value)
    settings = load_settings()
    assert settings.model_dump() == DEFAULTS | {name.lower(): expected}


@pytest.mark.parametrize(("name", "value", "field", "message"), BAD)
def test_a_wrong_variable_is_named(
    name: str, value: str, field: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"LLM_MESH_{name}", value)
    with pytest.raises(ConfigError) as caught:
        load_settings()
    (problem,) = caught.value.problems
    assert (problem.source, problem.line, problem.field) == (f"LLM_MESH_{name}", 0, field)
    assert message in problem.message


@pytest.mark.parametrize(
    ("overrides", "name", "expected"),
    [
        ({"config": Path("a.yaml")}, "config", ("a.yaml",)),
        ({"config": [Path("a.yaml"), "b"]}, "config", ("a.yaml", "b")),
        ({"ca_file": Path("ca.pem")}, "ca_file", "ca.pem"),
        ({"labels": {"app": "web"}}, "labels", {"app": "web"}),
        ({"gateways": ["mesh", "a/b"]}, "gateways", ("mesh", "a/b")),
        ({"endpoints": {"A": "http://b"}}, "endpoints", {"a": "http://b"}),
        ({"forward_headers": ["X-A"]}, "forward_headers", ("x-a",)),
    ],
)
def test_a_keyword_may_be_a_python_value(
    overrides: dict[str, Any], name: str, expected: object
) -> None:
    assert getattr(load_settings(**overrides), name) == expected
    assert getattr(MeshSettings(**overrides), name) == expected


def test_a_keyword_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_MESH_NAMESPACE", "env")
    assert load_settings(namespace="keyword").namespace == "keyword"


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in DEFAULTS:
        monkeypatch.setenv(f"LLM_MESH_{name.upper()}", "")
    assert load_settings().model_dump() == DEFAULTS


def test_variables_of_others_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_MESH_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("ACCESS", "open")
    assert load_settings().access == "private"


def test_no_dotenv_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("LLM_MESH_ACCESS=open\n")
    monkeypatch.chdir(tmp_path)
    assert load_settings().access == "private"


def test_all_wrong_variables_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_MESH_ACCESS", "x")
    monkeypatch.setenv("LLM_MESH_IDLE_TIMEOUT", "x")
    with pytest.raises(ConfigError) as caught:
        load_settings(nmespace="x")
    assert str(caught.value).splitlines() == [
        "LLM_MESH_NMESPACE: unknown setting; did you mean `namespace`?",
        "LLM_MESH_ACCESS: must be one of 'private', 'keys' or 'open', got 'x'",
        "LLM_MESH_IDLE_TIMEOUT: must be a number, got the string 'x'",
    ]


def test_settings_do_not_change() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.access = "open"


def test_every_setting_says_what_it_means_and_what_its_default_is() -> None:
    for name, field in MeshSettings.model_fields.items():
        assert field.description, name
        assert "Default: " in field.description, name


def test_a_keyword_that_no_setting_has_is_an_error() -> None:
    with pytest.raises(ValidationError, match="acess\n  Extra inputs are not permitted"):
        MeshSettings(acess="keys")


@pytest.mark.parametrize(
    ("variable", "advice"),
    [
        ("LLM_MESH_ACESS", "did you mean LLM_MESH_ACCESS?"),
        ("LLM_MESH_FOOBAR", "no setting has this name"),
        ("LLM_MESH_LOG_LEVEL", "no setting has this name"),
    ],
)
def test_a_variable_that_no_setting_has_is_warned_about(
    variable: str, advice: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(variable, "keys")
    load_settings()
    assert caplog.messages == [f"{variable} is set and has no effect; {advice}"]
