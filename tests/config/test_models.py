"""The models by themselves, as a Python program makes them."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from llm_mesh_middleware import config as models
from llm_mesh_middleware._manifest.documents import _VERSIONS
from llm_mesh_middleware.config import (
    BackendRef,
    LLMProvider,
    LLMProviderSpec,
    LLMRoute,
    LLMRouteSpec,
    ObjectMeta,
    OpenAIConfig,
    ProviderConfig,
    ProviderConfigs,
    RouteMatch,
    RouteRule,
    StringMatch,
    used_extensions,
)
from tests.config.documents import config, match, parse, provider, route, rules
from tests.rows import rows

CLASSES = [
    getattr(models, name)
    for name in models.__all__
    if isinstance(getattr(models, name), type) and issubclass(getattr(models, name), BaseModel)
]


def spec(text: str) -> Any:
    """The spec of the only document of a text."""
    manifest = parse(text)
    assert manifest.problems == ()
    return manifest.resources[0].model.spec


@rows(
    ("written", "host"),
    [
        ("api.acme.example", "api.acme.example"),
        ("API.Acme.Example.", "api.acme.example"),
        ("my_model-server", "my_model-server"),
        ("10.0.0.5", "10.0.0.5"),
        ("'::1'", "::1"),
        ("'[2001:DB8:0::1]'", "2001:db8::1"),
        ("xn--nxasmq6b.example", "xn--nxasmq6b.example"),
    ],
)
def test_a_provider_host_has_one_spelling(written: str, host: str) -> None:
    assert spec(provider(f"host: {written}")).host == host
    assert (
        spec(rules(f"- backendRefs:\n  - providerHost: {written}"))
        .rules[0]
        .backend_refs[0]
        .provider_host
        == host
    )


@rows(
    "host",
    [
        *("1.2.3", "256.1.1.1", "0x7f.1", "a..b", "-a.example", "a-.example", ".a", "a.example.."),
        *("a,b", "a\\b", "a?b", "a#b", "[::1", "[::1]:80", "fe80::1%eth0", "ü.example", "a\nb"),
        *("x" * 64, ".".join(["x" * 60] * 5), "a\tb", "a\u200bb", "http:", "a;b", "a%2e"),
    ],
)
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(ValidationError):
        LLMProviderSpec(host=host)
    with pytest.raises(ValidationError):
        BackendRef(provider_host=host)


@rows("host", ["*", "*.acme.example", "demo-llm-server", "a.example", "10.0.0.5"])
def test_a_route_host_may_be_short_or_a_wildcard(host: str) -> None:
    assert spec(rules("- backendRefs: [{providerHost: a}]").replace("acme.example", f"'{host}'", 1))


@rows("host", ["*.", "**", "a.*", "*a.example", "*.*.example", "*.10.0.0.5", "a:80", "http://a"])
def test_what_is_no_route_host_is_refused(host: str) -> None:
    with pytest.raises(ValidationError):
        LLMRouteSpec(host=host, rules=(RouteRule(backend_refs=(BackendRef(provider_host="a"),)),))


@rows(
    ("written", "url"),
    [
        ("http://vllm.models.svc:8000", "http://vllm.models.svc:8000"),
        ("HTTPS://A.example/", "https://a.example"),
        ("https://[::1]:8443", "https://[::1]:8443"),
        ("https://127.0.0.1:08443", "https://127.0.0.1:8443"),
    ],
)
def test_an_endpoint_is_a_base_url(written: str, url: str) -> None:
    assert spec(provider(f"host: a\nendpoint: {written}")).endpoint == url


@rows(
    "url",
    [
        *("a.example", "//a.example", "ftp://a", "https://", "https://a/b", "https://a?b"),
        *("https://a#b", "https://u@a", "https://a:0", "https://a:65536", "https://a:b"),
        *("https://a:", "https://a b", "https://::1", "https://a:80:80", "https://a\n"),
        *("https://a:" + "9" * 5000, "https://a:８０", "https://a\\b"),
    ],
)
def test_what_is_no_base_url_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        LLMProviderSpec(host="a", endpoint=url)


@rows("host", ["a.example", "a.example:8080", "[::1]:8080", "[::1]"])
def test_a_host_rewrite_may_have_a_port(host: str) -> None:
    assert BackendRef(provider_host="a", host_rewrite=host).host_rewrite == host


@rows("weights", [(None, None), (0, 5), (None, 5), (50, 50), (0,), (None,)])
def test_these_weights_are_fine(weights: tuple[int | None, ...]) -> None:
    backends = tuple(BackendRef(provider_host="a", weight=weight) for weight in weights)
    assert RouteRule(backend_refs=backends).backend_refs == backends


@rows("weights", [(0, 0), (0, None), (None, 0), (None, None, 0)])
def test_weights_that_leave_nothing_are_refused(weights: tuple[int | None, ...]) -> None:
    with pytest.raises(ValidationError, match="weight above 0"):
        RouteRule(
            backend_refs=tuple(BackendRef(provider_host="a", weight=weight) for weight in weights)
        )


def test_weights_are_compared_within_one_priority() -> None:
    first = BackendRef(provider_host="a", weight=1)
    idle = BackendRef(provider_host="b", weight=0, priority=1)
    RouteRule(backend_refs=(first, idle))
    with pytest.raises(ValidationError, match="priority 1"):
        RouteRule(backend_refs=(first, idle, idle))


def test_lists_are_taken_for_tuples_and_nothing_else_is_converted() -> None:
    rule = RouteRule(backend_refs=[BackendRef(provider_host="a")])  # type: ignore[arg-type]
    assert isinstance(rule.backend_refs, tuple)
    with pytest.raises(ValidationError):
        BackendRef(provider_host="a", weight="5")  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        BackendRef(provider_host="a", weight=True)


def test_yaml_is_camel_case_only() -> None:
    text = rules("- backend_refs: [{providerHost: a}]")
    assert [problem.message for problem in parse(text).problems] == [
        "is missing",
        "unknown field; did you mean `backendRefs`?",
    ]


def test_a_model_does_not_change() -> None:
    backend = BackendRef(provider_host="a")
    with pytest.raises(ValidationError, match="frozen"):
        backend.weight = 5


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_both_versions_are_read(version: str) -> None:
    text = provider("host: a").replace("v1beta1", version)
    assert parse(text).resources[0].model.api_version == f"istio.alibabacloud.com/{version}"


def test_metadata_beyond_the_name_and_the_status_are_ignored() -> None:
    text = provider("host: a").replace("  name: acme", "  name: acme\n  labels: {a: 1}\n  uid: x")
    (resource,) = parse(text + "status: {status: ready}\n").resources
    assert resource.model.metadata == ObjectMeta(name="acme")


def test_what_is_written_reads_the_same_again() -> None:
    made = LLMRoute(
        metadata=ObjectMeta(name="r", namespace="n"),
        spec=LLMRouteSpec(
            host="*.acme.example",
            rules=(
                RouteRule(
                    name="vip",
                    matches=(RouteMatch(headers={"user-type": StringMatch(exact="vip")}),),
                    backend_refs=(BackendRef(provider_host="a", weight=1),),
                ),
            ),
        ),
    )
    written = made.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert written["spec"]["rules"][0]["backendRefs"] == [{"providerHost": "a", "weight": 1}]
    assert LLMRoute.model_validate(written) == made


def test_every_field_says_what_it_means_and_what_its_default_is() -> None:
    for model in CLASSES:
        for name, field in model.model_fields.items():
            assert field.description, (model, name)
            is_told = (
                field.is_required()
                or "Default: " in field.description
                or "Required." in field.description
            )
            assert is_told or name in (
                "api_version",
                "kind",
                "status",
                *StringMatch.model_fields,
            ), (
                model,
                name,
            )


def test_the_json_schema_is_camel_case_and_marks_extensions() -> None:
    schema = LLMProvider.model_json_schema()
    assert schema["required"] == ["apiVersion", "kind", "metadata", "spec"]
    openai = schema["$defs"]["OpenAIConfig"]["properties"]
    assert {name for name, field in openai.items() if field.get("x-extension")} == {
        "apiKeyFrom",
        "modelMapping",
        "defaults",
        "headers",
        "streamUsage",
        "apis",
        "maxTokensField",
        "sendReasoning",
        "passFields",
        "unsupportedFields",
    }
    siblings = schema["$defs"]["ProviderConfig"]["properties"]
    assert {name for name, field in siblings.items() if not field.get("x-extension")} == {
        "openAIConfig"
    }


@rows(
    ("text", "extensions"),
    [
        (config("model: a\napiKey: b\nstream: true"), ()),
        (provider("host: a\nendpoint: http://b\ntls: {}"), ("spec.endpoint", "spec.tls")),
        (provider("host: a\nendpoint:"), ()),
        (
            provider(
                "host: a\nconfigs:\n  routeSpecificConfigs:\n    a.b:\n"
                "      openAIConfig: {apiKeyFrom: {env: A}, headers: {b: c}}"
            ),
            (
                "spec.configs.routeSpecificConfigs['a.b'].openAIConfig.apiKeyFrom",
                "spec.configs.routeSpecificConfigs['a.b'].openAIConfig.headers",
            ),
        ),
        (
            match("model: {prefix: gpt}\nheaders: {a: {}}\nmethod: {exact: POST}"),
            ("spec.rules[0].matches[0].method", "spec.rules[0].matches[0].model"),
        ),
        (
            rules("- backendRefs:\n  - {providerHost: a, priority: 1, model: b, hostRewrite: c}"),
            ("spec.rules[0].backendRefs[0].priority", "spec.rules[0].backendRefs[0].model"),
        ),
        (route("host: a\ngateways: [mesh]\nrules:\n- backendRefs: [{providerHost: a}]"), ()),
    ],
)
def test_extensions_that_are_set_are_listed(text: str, extensions: tuple[str, ...]) -> None:
    manifest = parse(text)
    assert manifest.problems == ()
    assert used_extensions(manifest.resources[0].model) == extensions


def test_a_provider_can_be_made_in_python() -> None:
    openai = OpenAIConfig(model="qwen", api_key=SecretStr("k"), headers={"x-a": SecretStr("b")})
    made = LLMProvider(
        metadata=ObjectMeta(name="acme"),
        spec=LLMProviderSpec(
            host="acme.example",
            configs=ProviderConfigs(default_config=ProviderConfig(open_ai_config=openai)),
        ),
    )
    assert made.kind == "LLMProvider"
    assert made.spec.path == "/v1/chat/completions"


def test_the_versions_that_are_read_are_those_of_the_models() -> None:
    for kind, versions in _VERSIONS.items():
        field = getattr(models, kind).model_fields["api_version"]
        assert get_args(field.annotation) == versions
    assert set(_VERSIONS) == {model.__name__ for model in get_args(models.Document)}


def test_every_model_is_imported_when_it_is_asked_for() -> None:
    assert [name for name in models.__all__ if not hasattr(models, name)] == []
    assert not hasattr(models, "NoSuchModel")
