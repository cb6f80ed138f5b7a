"""`llm-mesh export envoy`: what is printed, what is not, and that no key is."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from llm_mesh_middleware.cli.main import main
from tests.canaries import canary, leaks
from tests.conftest import MANIFESTS

LITERAL = canary("export")

PROVIDER = """\
apiVersion: istio.alibabacloud.com/v1beta1
kind: LLMProvider
metadata: {name: one}
spec:
  host: one.example
  EXTRA
  configs: {defaultConfig: {openAIConfig: {CONFIG}}}
"""
ROUTE = """\
---
apiVersion: istio.alibabacloud.com/v1beta1
kind: LLMRoute
metadata: {name: way}
spec:
  host: way
  rules:
  - name: first
    RULE
    backendRefs:
    - {providerHost: one.example}
    BACKEND
"""


def export(folder: Path, *options: str, **parts: str) -> Result:
    text = PROVIDER + (ROUTE if parts.keys() & {"RULE", "BACKEND"} else "")
    for name in ("EXTRA", "CONFIG", "RULE", "BACKEND"):
        text = text.replace(name, parts.get(name, ""))
    (folder / "mesh.yaml").write_text(text)
    result = CliRunner().invoke(
        main, ["export", "envoy", "-c", str(folder / "mesh.yaml"), *options]
    )
    assert not leaks(result.output)
    return result


@pytest.mark.parametrize(
    ("parts", "gap"),
    [
        ({"EXTRA": "maxConcurrency: 3"}, "LLMProvider one: spec.maxConcurrency"),
        ({"EXTRA": "outlierDetection: {interval: 1s}"}, "LLMProvider one: spec.outlierDetection"),
        ({"CONFIG": "defaults: {temperature: 0}"}, ".openAIConfig.defaults"),
        ({"CONFIG": "modelMapping: {a: b}"}, ".openAIConfig.modelMapping"),
        ({"RULE": "stickyBy: {header: x-user}"}, "LLMRoute way: spec.rules[0].stickyBy"),
        ({"RULE": "matches: [{model: {exact: m}}]"}, "way: rule first: matches.model"),
        ({"RULE": "matches: [{attributes: {a: {exact: b}}}]"}, "rule first: matches.attribute"),
        ({"RULE": "retry: {codes: [server_error]}"}, "way: rule first: retry.codes"),
        (
            {"BACKEND": "- {providerHost: one.example, model: b, priority: 1}"},
            "way: rule first: priority",
        ),
    ],
)
def test_what_envoy_would_not_do_is_listed(tmp_path: Path, parts: dict[str, str], gap: str) -> None:
    result = export(tmp_path, **parts)
    assert (result.exit_code, result.stdout) == (1, "")
    assert any(line.startswith("not exported: ") and gap in line for line in _lines(result))

    result = export(tmp_path, "--partial", **parts)
    assert result.exit_code == 0
    assert gap in result.stderr
    assert yaml.safe_load(result.stdout)["static_resources"]["listeners"]


def test_a_policy_is_not_exported(tmp_path: Path) -> None:
    policy = """\
---
apiVersion: llm-mesh.dev/v1alpha1
kind: LLMPolicy
metadata: {name: few}
spec: {limits: [{name: all, requests: 5}]}
"""

    result = export(tmp_path, CONFIG="}}}\n" + policy + "#")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "not exported: LLMPolicy few" in result.stderr


def test_a_match_that_cannot_be_tested_takes_nothing(tmp_path: Path) -> None:
    """To leave out a condition would send requests where they must not go."""
    result = export(tmp_path, "--partial", RULE="matches: [{model: {exact: m}}]")

    hosts = {each["name"]: each for each in _hosts(result)}
    assert [route["name"] for route in hosts["way"]["routes"]] == ["route_not_found"]


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"CONFIG": "apiKeyFrom: {env: ANY}, headers: {x-team: search}"},
        {"EXTRA": "endpoint: http://127.0.0.1:9"},
        {"RULE": "timeouts: {request: 5s, idle: 2s}", "BACKEND": ""},
        {"RULE": "retry: {attempts: 0}"},
        {"RULE": "matches: [{path: {prefix: /v1}, method: {exact: POST}}]"},
        {"RULE": "matches: [{headers: {a: {regex: 'b+'}, c: {}, d: {prefix: e}}}]"},
        {"BACKEND": "- {providerHost: one.example, model: other, hostRewrite: two.example}"},
    ],
    ids=str,
)
def test_these_fields_are_exported(tmp_path: Path, parts: dict[str, str]) -> None:
    result = export(tmp_path, **parts)

    assert (result.exit_code, result.stderr) == (0, "")


def test_a_key_is_a_variable_of_its_name(tmp_path: Path) -> None:
    result = export(tmp_path, CONFIG="apiKey: '${SOME_KEY}', headers: {x-100: '100%'}")

    added = _backend(result)["request_headers_to_add"]
    values = {each["header"]["key"]: each["header"]["value"] for each in added}
    assert values == {"x-100": "100%%", "authorization": "Bearer %ENVIRONMENT(SOME_KEY)%"}


@pytest.mark.parametrize("source", [f"apiKey: {LITERAL}", "apiKeyFrom: {file: key}"])
def test_a_key_that_no_variable_holds_is_left_to_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "key").write_text(LITERAL)

    result = export(tmp_path, CONFIG=source)

    assert result.exit_code == 0
    assert "note: set LLM_MESH_ONE_AUTHORIZATION" in result.stderr
    assert "Bearer %ENVIRONMENT(LLM_MESH_ONE_AUTHORIZATION)%" in result.stdout


def test_a_variable_that_is_no_secret_has_its_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_MODEL", "m-1")
    result = export(tmp_path, CONFIG="model: '${SOME_MODEL}'")
    context = _backend(result)["typed_per_filter_config"]["envoy.filters.http.lua"]
    assert context["filter_context"]["backend"]["model"] == '"m-1"'

    monkeypatch.delenv("SOME_MODEL")
    result = export(tmp_path, CONFIG="model: '${SOME_MODEL}'")
    assert (result.exit_code, result.stderr) == (1, "Error: $SOME_MODEL is not set\n")


def test_manifests_with_errors_are_refused_with_their_places(tmp_path: Path) -> None:
    result = export(tmp_path, EXTRA="pathh: /x")

    assert (result.exit_code, result.stdout) == (1, "")
    assert "mesh.yaml:6:3: spec.pathh" in result.stderr


def test_the_six_manifests_are_exported_whole() -> None:
    result = CliRunner().invoke(main, ["export", "envoy", "--config", str(MANIFESTS)])

    assert result.exit_code == 0
    assert "not exported" not in result.stderr


def _lines(result: Result) -> list[str]:
    return result.stderr.splitlines()


def _hosts(result: Result) -> list[dict[str, object]]:
    (listener,) = yaml.safe_load(result.stdout)["static_resources"]["listeners"]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    hosts: list[dict[str, object]] = manager["route_config"]["virtual_hosts"]
    return hosts


def _backend(result: Result) -> dict[str, object]:
    found: dict[str, object] = _hosts(result)[0]["routes"][0]["route"]["weighted_clusters"][
        "clusters"
    ][0]  # type: ignore[index]
    return found
