"""`llm-mesh convert litellm`: what comes out is read by a mesh, and routes as LiteLLM would."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from click.testing import CliRunner, Result

from llm_mesh_middleware import Mesh
from llm_mesh_middleware.cli.main import main
from llm_mesh_middleware.config import LLMProvider
from tests.canaries import canary, leaks

LITERAL = canary("litellm")


class Everything(dict[str, str]):
    """An environment in which every key is set."""

    def __missing__(self, name: str) -> str:
        return canary(name)

    def get(self, name: str, default: object = None) -> str:  # type: ignore[override]
        return self[name]


@dataclass(frozen=True)
class Shape:
    """A configuration, the calls that it leads to, and what it must remark on.

    `calls` maps a model that a client names to `url model` of each backend, in order. `rule`
    and `provider` are further facts of the first model and of all providers.
    """

    name: str
    config: str
    calls: dict[str, list[str]]
    remarks: tuple[str, ...] = ()
    rule: dict[str, Any] = field(default_factory=dict)
    provider: dict[str, Any] = field(default_factory=dict)


OPENAI = "https://api.openai.com/v1/chat/completions"

SHAPES = [
    Shape(
        "one model",
        """
        model_list:
          - model_name: gpt-4o
            litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY}
        """,
        {"gpt-4o": [f"{OPENAI} gpt-4o"]},
    ),
    Shape(
        "a name of its own",
        """
        model_list:
          - model_name: fast
            litellm_params: {model: groq/llama-3.3-70b-versatile}
        """,
        {
            "fast": [
                "https://api.groq.com/openai/v1/chat/completions llama-3.3-70b-versatile",
            ]
        },
    ),
    Shape(
        "a model without a vendor",
        """
        model_list:
          - model_name: gpt-4o-mini
            litellm_params: {model: gpt-4o-mini}
        """,
        {"gpt-4o-mini": [f"{OPENAI} gpt-4o-mini"]},
    ),
    Shape(
        "Azure deployments, shared by rpm",
        """
        model_list:
          - model_name: gpt-4o
            litellm_params:
              model: azure/gpt-4o-eu
              api_base: https://eu.openai.azure.com/
              api_key: os.environ/AZURE_EU
              api_version: "2025-01-01-preview"
              rpm: 900
          - model_name: gpt-4o
            litellm_params:
              model: azure/gpt-4o-us
              api_base: https://us.openai.azure.com/
              api_key: os.environ/AZURE_US
              rpm: 100
        """,
        {
            "gpt-4o": [
                "https://eu.openai.azure.com/openai/deployments/gpt-4o-eu/chat/completions"
                "?api-version=2025-01-01-preview gpt-4o-eu",
                "https://us.openai.azure.com/openai/deployments/gpt-4o-us/chat/completions"
                "?api-version=2024-10-21 gpt-4o-us",
            ]
        },
        ("model_list[0].litellm_params.rpm: ", "model_list[1].litellm_params.rpm: "),
        {"weights": [900, 100]},
    ),
    Shape(
        "a server on this machine, without a key",
        """
        model_list:
          - model_name: llama
            litellm_params: {model: ollama/llama3.2, api_base: "http://localhost:11434"}
          - model_name: qwen
            litellm_params:
              model: hosted_vllm/Qwen/Qwen3-32B
              api_base: http://10.0.0.5:8000/v1
              api_key: none
        """,
        {
            "llama": ["http://localhost:11434/v1/chat/completions llama3.2"],
            "qwen": ["http://10.0.0.5:8000/v1/chat/completions Qwen/Qwen3-32B"],
        },
    ),
    Shape(
        "an OpenAI-compatible server",
        """
        model_list:
          - model_name: ours
            litellm_params:
              model: openai/our-model
              api_base: https://llm.corp.example:8443/gateway/v1
              api_key: os.environ/CORP_KEY
              extra_headers: {X-Team: search}
        """,
        {"ours": ["https://llm.corp.example:8443/gateway/v1/chat/completions our-model"]},
        rule={"headers": {"x-team"}},
    ),
    Shape(
        "two accounts at one vendor",
        """
        model_list:
          - model_name: gpt-4o
            litellm_params: {model: openai/gpt-4o, api_key: os.environ/KEY_A}
          - model_name: gpt-4o
            litellm_params: {model: openai/gpt-4o, api_key: os.environ/KEY_B}
        """,
        {"gpt-4o": [f"{OPENAI} gpt-4o", f"{OPENAI} gpt-4o"]},
    ),
    Shape(
        "a literal key",
        f"""
        model_list:
          - model_name: gpt-4o
            litellm_params: {{model: openai/gpt-4o, api_key: {LITERAL}}}
        """,
        {"gpt-4o": [f"{OPENAI} gpt-4o"]},
        ("model_list[0].litellm_params.api_key: is a literal key", "set OPENAI_API_KEY_0"),
    ),
    Shape(
        "fallbacks between models",
        """
        model_list:
          - model_name: big
            litellm_params: {model: openai/gpt-4.1}
          - model_name: small
            litellm_params: {model: openai/gpt-4.1-mini}
          - model_name: other
            litellm_params: {model: mistral/mistral-large-latest}
        litellm_settings:
          num_retries: 3
          request_timeout: 30
          fallbacks: [{big: [small, other]}]
        """,
        {
            "big": [
                f"{OPENAI} gpt-4.1",
                f"{OPENAI} gpt-4.1-mini",
                "https://api.mistral.ai/v1/chat/completions mistral-large-latest",
            ],
            "small": [f"{OPENAI} gpt-4.1-mini"],
        },
        rule={"priorities": [0, 1, 2], "attempts": 3, "request": 30.0},
    ),
    Shape(
        "a fallback for long prompts",
        """
        model_list:
          - model_name: short
            litellm_params: {model: openai/gpt-4o}
          - model_name: long
            litellm_params: {model: gemini/gemini-2.5-pro}
        router_settings:
          context_window_fallbacks: [{short: [long]}]
        """,
        {
            "short": [
                f"{OPENAI} gpt-4o",
                "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions"
                " gemini-2.5-pro",
            ]
        },
        ("context_window_fallbacks: short: the models it names are used after any other failure",),
        {"reasons": ["context_length_exceeded"]},
    ),
    Shape(
        "default fallbacks, and one that is missing",
        """
        model_list:
          - model_name: a
            litellm_params: {model: xai/grok-3}
          - model_name: b
            litellm_params: {model: deepseek/deepseek-chat}
        litellm_settings:
          default_fallbacks: [b, nowhere]
        """,
        {
            "a": [
                "https://api.x.ai/v1/chat/completions grok-3",
                "https://api.deepseek.com/v1/chat/completions deepseek-chat",
            ],
            "b": ["https://api.deepseek.com/v1/chat/completions deepseek-chat"],
        },
        ("default_fallbacks: a: 'nowhere' is not a model of this file",),
    ),
    Shape(
        "an order of deployments",
        """
        model_list:
          - model_name: m
            litellm_params: {model: openai/m, order: 2}
          - model_name: m
            litellm_params: {model: together_ai/org/m, order: 1}
        """,
        {
            "m": [
                "https://api.together.xyz/v1/chat/completions org/m",
                f"{OPENAI} m",
            ]
        },
    ),
    Shape(
        "aliases of a model",
        """
        model_list:
          - model_name: gpt-4o
            litellm_params: {model: openai/gpt-4o}
        router_settings:
          model_group_alias:
            gpt-4: gpt-4o
            hidden: {model: gpt-4o, hidden: true}
        """,
        {name: [f"{OPENAI} gpt-4o"] for name in ("gpt-4o", "gpt-4", "hidden")},
    ),
    Shape(
        "every model of a vendor",
        """
        model_list:
          - model_name: "*"
            litellm_params: {model: "openai/*"}
          - model_name: "claude-*"
            litellm_params: {model: "anthropic/claude-*"}
          - model_name: claude-haiku-4-5
            litellm_params: {model: openrouter/anthropic/claude-haiku-4.5}
        """,
        {
            "anything": [f"{OPENAI} anything"],
            "claude-opus-4-1": ["https://api.anthropic.com/v1/chat/completions claude-opus-4-1"],
            "claude-haiku-4-5": [
                "https://openrouter.ai/api/v1/chat/completions anthropic/claude-haiku-4.5"
            ],
        },
    ),
    Shape(
        "a prefix that would have to be removed",
        """
        model_list:
          - model_name: "groq/*"
            litellm_params: {model: "groq/*"}
          - model_name: plain
            litellm_params: {model: groq/plain}
        """,
        {"plain": ["https://api.groq.com/openai/v1/chat/completions plain"]},
        ("'groq/*' would have to be renamed to '*'",),
    ),
    Shape(
        "default parameters",
        """
        model_list:
          - model_name: poet
            litellm_params: {model: openai/gpt-4o, temperature: 1.2, max_tokens: 200}
          - model_name: clerk
            litellm_params: {model: openai/gpt-4o, temperature: 0}
        """,
        {"poet": [f"{OPENAI} gpt-4o"], "clerk": [f"{OPENAI} gpt-4o"]},
        provider={"defaults": [{"temperature": 1.2, "max_tokens": 200}, {"temperature": 0}]},
    ),
    Shape(
        "how a deployment fails",
        """
        model_list:
          - model_name: m
            litellm_params:
              model: openai/m
              timeout: 60
              stream_timeout: 0.5
              max_retries: 0
              max_parallel_requests: 7
        router_settings:
          allowed_fails: 3
          cooldown_time: 30
          routing_strategy: latency-based-routing
        """,
        {"m": [f"{OPENAI} m"]},
        ("router_settings.routing_strategy: see balance",),
        {"attempts": 0, "request": 60.0, "first_byte": 0.5},
        {"failures": 4, "ejection": 30.0, "concurrency": 7},
    ),
    Shape(
        "vendors that have no OpenAI-compatible API",
        """
        model_list:
          - model_name: claude
            litellm_params: {model: bedrock/anthropic.claude-v2, aws_region_name: us-east-1}
          - model_name: pro
            litellm_params: {model: vertex_ai/gemini-2.5-pro, vertex_project: p}
          - model_name: gpt
            litellm_params: {model: openai/gpt, made_up: 1, input_cost_per_token: 0.1}
        """,
        {"gpt": [f"{OPENAI} gpt"]},
        (
            "model_list[0].litellm_params.model: bedrock has no",
            "model_list[1].litellm_params.model: vertex_ai has no",
            "model_list[2].litellm_params.made_up: has no twin",
            "model_list[2].litellm_params.input_cost_per_token: has no twin",
        ),
    ),
    Shape(
        "settings of the proxy",
        f"""
        model_list:
          - model_name: gpt
            litellm_params: {{model: openai/gpt}}
        general_settings:
          master_key: {LITERAL}
          database_url: postgres://{LITERAL}
        litellm_settings:
          drop_params: true
          cache: true
          cache_params: {{type: redis, password: {LITERAL}}}
          callbacks: [otel]
        environment_variables: {{LANGFUSE_SECRET_KEY: {LITERAL}}}
        guardrails: []
        """,
        {"gpt": [f"{OPENAI} gpt"]},
        (
            "general_settings.master_key: was not copied; set LLM_MESH_CLIENT_KEYS",
            "general_settings.database_url: has no twin",
            "litellm_settings.drop_params: ",
            "litellm_settings.cache: add an LLMPolicy",
            "litellm_settings.callbacks: use OpenTelemetry",
            "environment_variables: set them in the environment",
            "guardrails: ",
        ),
    ),
    Shape(
        "an embedding model of another name",
        """
        model_list:
          - model_name: embed
            litellm_params: {model: openai/text-embedding-3-small}
            model_info: {mode: embedding}
          - model_name: gpt
            litellm_params: {model: openai/gpt}
        """,
        {"gpt": [f"{OPENAI} gpt"]},
        provider={"mapping": [{"embed": "text-embedding-3-small"}]},
    ),
]


def convert(folder: Path, config: str, *options: str) -> Result:
    file = folder / "config.yaml"
    file.write_text(config)
    return CliRunner().invoke(main, ["convert", "litellm", str(file), *options])


@pytest.fixture(params=SHAPES, ids=lambda shape: shape.name.replace(" ", "-"))
def shape(request: pytest.FixtureRequest) -> Shape:
    found: Shape = request.param
    return found


@pytest.fixture
def result(shape: Shape, tmp_path: Path) -> Result:
    found = convert(tmp_path, shape.config)
    assert found.exit_code == 0, found.output
    assert not leaks(found.output)
    (tmp_path / "mesh.yaml").write_text(found.stdout)
    return found


@pytest.fixture
def mesh(result: Result, tmp_path: Path) -> Mesh:
    return Mesh(str(tmp_path / "mesh.yaml"), environ=Everything())


def called(backend: dict[str, Any]) -> str:
    """The URL that is connected to, and the model that is asked for."""
    parts = urlsplit(backend["url"])
    base = backend["connects_to"] or f"{parts.scheme}://{parts.netloc}"
    base = base.removesuffix(":443")
    query = f"?{parts.query}" if parts.query else ""
    return f"{base}{parts.path}{query} {backend['model']}"


def test_requests_go_where_litellm_would_send_them(shape: Shape, mesh: Mesh) -> None:
    for model, expected in shape.calls.items():
        found = mesh.explain(
            "llm", path="/v1/chat/completions", body=f'{{"model":"{model}"}}'.encode()
        )
        told = found.as_dict()
        calls = [called(each) for each in told["backends"]]
        assert calls == expected, model


def test_each_setting_without_a_twin_is_remarked_on(shape: Shape, result: Result) -> None:
    assert [text for text in shape.remarks if text not in result.stderr] == []
    if not shape.remarks:
        assert result.stderr.endswith(" 0 remarks\n")


def test_a_rule_keeps_its_weights_tiers_retries_and_timeouts(shape: Shape, mesh: Mesh) -> None:
    model = next(iter(shape.calls))
    body = f'{{"model":"{model}"}}'.encode()
    told = mesh.explain("llm", path="/v1/chat/completions", body=body).as_dict()
    backends = told["backends"]
    found = {
        "weights": [each["weight"] for each in backends],
        "priorities": [each["priority"] for each in backends],
        "headers": {name for name, _ in backends[0]["headers"]},
        **{name: told["retry"][name] for name in ("attempts", "reasons")},
        **{name: told["timeouts"][name] for name in ("request", "first_byte")},
    }

    for name, expected in shape.rule.items():
        assert found[name] == expected or (name == "headers" and expected <= found[name]), name


def test_a_provider_keeps_its_settings(shape: Shape, result: Result) -> None:
    documents = list(yaml.safe_load_all(result.stdout))
    specs = [
        LLMProvider.model_validate(each).spec for each in documents if each["kind"] == "LLMProvider"
    ]
    configs = [each.configs.default_config.open_ai_config for each in specs]
    detection = specs[0].outlier_detection
    found = {
        "concurrency": specs[0].max_concurrency,
        "defaults": [each.defaults for each in configs if each],
        "failures": detection and detection.consecutive_failures,
        "ejection": detection and detection.base_ejection_time,
        "mapping": [each.model_mapping for each in configs if each and each.model_mapping],
    }

    assert {name: found[name] for name in shape.provider} == shape.provider


def test_the_virtual_host_can_be_chosen(tmp_path: Path) -> None:
    result = convert(tmp_path, SHAPES[0].config, "--host", "proxy.example")
    (tmp_path / "mesh.yaml").write_text(result.stdout)

    mesh = Mesh(str(tmp_path / "mesh.yaml"), environ=Everything())

    assert mesh.find(b"proxy.example") is not None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "config.yaml:1:5: is not YAML"),
        ("- 1", "is not a mapping"),
        ("", "is not a mapping"),
        ("model_list: [1, {model_name: m}]", "0 documents"),
        ("model_list: {}", "0 documents"),
        (
            "model_list: [{model_name: m, litellm_params: {model: azure/m}}]",
            "azure needs a URL here",
        ),
        (
            "model_list: [{model_name: m, litellm_params: {model: hosted_vllm/m,"
            " api_base: os.environ/NO_SUCH_VARIABLE}}]",
            "set NO_SUCH_VARIABLE and convert again",
        ),
    ],
)
def test_what_cannot_be_converted_is_said(tmp_path: Path, text: str, words: str) -> None:
    result = convert(tmp_path, text)

    assert (result.exit_code, result.stdout) == (1, "")
    assert words in result.stderr


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["convert", "litellm", str(tmp_path / "none.yaml")])

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: cannot read ")
