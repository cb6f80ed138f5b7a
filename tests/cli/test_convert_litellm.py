"""`llm-mesh convert litellm`: what comes out is read by a mesh, and routes as LiteLLM would."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from click.testing import CliRunner, Result

from llm_mesh_middleware import Mesh
from llm_mesh_middleware._schema.base import Wire
from llm_mesh_middleware.cli.main import main
from llm_mesh_middleware.config import LLMPolicy, LLMProvider
from tests.canaries import canary, leaks
from tests.cli.litellm_routers import ROUTERS
from tests.cli.litellm_shapes import Shape
from tests.cli.litellm_vendors import VENDORS
from tests.rows import rows


class Everything(dict[str, str]):
    """An environment in which every key is set."""

    def __missing__(self, name: str) -> str:
        return f"value-of-{name}" if name == "PROJECT" else canary(name)

    def get(self, name: str, default: object = None) -> str:  # type: ignore[override]
        return self[name]


def convert(folder: Path, config: str, *options: str) -> Result:
    file = folder / "config.yaml"
    file.write_text(config)
    return CliRunner().invoke(main, ["convert", "litellm", str(file), *options])


@pytest.fixture(params=VENDORS + ROUTERS, ids=lambda shape: shape.name.replace(" ", "-"))
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


def explained(mesh: Mesh, model: str) -> dict[str, Any]:
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
    found = mesh.explain("llm", path="/v1/chat/completions", body=json.dumps(body).encode())
    return found.as_dict()


def test_requests_go_where_litellm_would_send_them(shape: Shape, mesh: Mesh) -> None:
    for model, expected in shape.calls.items():
        told = explained(mesh, model)
        calls = [called(each) for each in told["backends"]]
        assert calls == expected, model


def test_each_setting_without_a_twin_is_remarked_on(shape: Shape, result: Result) -> None:
    assert [text for text in shape.remarks if text not in result.stderr] == []
    if not shape.remarks:
        assert result.stderr.endswith(" 0 remarks\n")


def test_a_rule_keeps_its_weights_tiers_retries_and_timeouts(shape: Shape, mesh: Mesh) -> None:
    model = next(iter(shape.calls))
    told = explained(mesh, model)
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


def written(model: Wire) -> dict[str, Any]:
    """What a document says of a part of it, as its own names."""
    said = {name: getattr(model, name) for name in model.model_fields_set}
    return {k: f"{v:f}" if isinstance(v, Decimal) else v for k, v in said.items()}


def test_policies_have_the_limits_the_cache_and_the_balance(shape: Shape, result: Result) -> None:
    documents = list(yaml.safe_load_all(result.stdout))
    policies = [
        LLMPolicy.model_validate(each).spec for each in documents if each["kind"] == "LLMPolicy"
    ]
    limits, budgets = [], []
    for spec in policies:
        targets = {"targets": [each.name for each in spec.target_refs]} if spec.target_refs else {}
        for item in spec.limits:
            limits.append(written(item) | targets)
            for name in ("when", "per"):
                limits[-1].pop(name, None)
        for budget in spec.budgets:
            amount = f"{budget.amount.normalize():f}"
            budgets.append((budget.name, amount, budget.per, targets.get("targets", [])))
    caches = [spec.cache.ttl for spec in policies if spec.cache is not None]

    (route,) = [each for each in documents if each["kind"] == "LLMRoute"]
    balance = route["spec"]["rules"][0].get("balance", {})

    assert (limits, budgets) == (shape.limits, shape.budgets)
    assert balance.get("policy") == shape.balance
    assert shape.ttl_s is None or caches == [shape.ttl_s]


def test_a_provider_keeps_its_settings(shape: Shape, result: Result) -> None:
    documents = list(yaml.safe_load_all(result.stdout))
    specs = [
        LLMProvider.model_validate(each).spec for each in documents if each["kind"] == "LLMProvider"
    ]
    configs = [each.configs.default_config.open_ai_config for each in specs]
    local = [each.configs.default_config.ollama_config for each in specs]
    detection = specs[0].outlier_detection
    found = {
        "concurrency": specs[0].max_concurrency,
        "defaults": [each.defaults for each in configs if each],
        "kept": [each.defaults for each in local if each and each.defaults],
        "options": [each.options for each in local if each],
        "failures": detection and detection.consecutive_failures,
        "ejection": detection and detection.base_ejection_time,
        "mapping": [each.model_mapping for each in configs if each and each.model_mapping],
        "prices": [
            (price.model and price.model.exact, written(price.per_million))
            for each in specs
            for price in each.prices
        ],
    }

    assert {name: found[name] for name in shape.provider} == shape.provider


def test_the_virtual_host_can_be_chosen(tmp_path: Path) -> None:
    result = convert(tmp_path, VENDORS[0].config, "--host", "proxy.example")
    (tmp_path / "mesh.yaml").write_text(result.stdout)

    mesh = Mesh(str(tmp_path / "mesh.yaml"), environ=Everything())

    assert mesh.find(b"proxy.example") is not None


@rows("host", ["two words", "proxy.example:80", "http://proxy.example", ""])
def test_a_virtual_host_that_a_manifest_cannot_have_is_refused(tmp_path: Path, host: str) -> None:
    result = convert(tmp_path, VENDORS[0].config, "--host", host)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--host: must" in result.stderr


@pytest.mark.parametrize("address", ["localhost", "127.0.0.1", "[::1]", "host.docker.internal"])
def test_a_server_on_this_machine_takes_no_requests_from_the_route(
    tmp_path: Path, address: str
) -> None:
    """By these names clients reach `llm-mesh serve` itself."""
    result = convert(
        tmp_path,
        "model_list: [{model_name: m, litellm_params: {model: ollama/llama3.2,"
        f" api_base: 'http://{address}:11434'}}}}]",
    )
    (tmp_path / "mesh.yaml").write_text(result.stdout)
    mesh = Mesh(str(tmp_path / "mesh.yaml"), environ=Everything())
    assert mesh.find(f"{address}:15001".encode()) is None
    (host,) = (host for host in mesh.hosts if host.name != "llm")
    assert mesh.explain(
        "llm", path="/v1/chat/completions", body=b'{"model": "m", "messages": []}'
    ).is_served
    assert host.name == "ollama.internal"


@pytest.mark.parametrize(
    ("given", "written", "remark"),
    [
        ("keys/vertex.json", {"file": "keys/vertex.json"}, ""),
        ('\'{"type": "service_account"}\'', {"default": True}, "save it as a file"),
    ],
)
def test_a_key_file_of_google_is_named_and_its_content_is_not_copied(
    tmp_path: Path, given: str, written: dict[str, object], remark: str
) -> None:
    result = convert(
        tmp_path,
        "model_list: [{model_name: m, litellm_params: {model: vertex_ai/gemini-x,"
        f" vertex_project: p, vertex_credentials: {given}}}}}]",
    )
    provider = next(yaml.safe_load_all(result.stdout))
    config = provider["spec"]["configs"]["defaultConfig"]["geminiConfig"]

    assert config["vertex"]["credentialsFrom"] == written
    assert remark in result.stderr
    assert "service_account" not in result.output


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "config.yaml:1:5: is not YAML"),
        ("- 1", "is not a mapping"),
        ("", "is not a mapping"),
        ("model_list: [1, {model_name: m}]", "0 documents"),
        ("model_list: {}", "model_list: has no models"),
        ("model_list:", "model_list: has no models"),
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
