"""`llm-mesh validate`: every problem at once, where it is, and never a secret."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from llm_mesh_middleware.cli.main import main
from tests.canaries import canary
from tests.cli.conftest import Run
from tests.conftest import MANIFESTS
from tests.rows import rows

SECRET = canary("literal")

GOOD = f"""\
apiVersion: istio.alibabacloud.com/v1beta1
kind: LLMProvider
metadata:
  name: one
spec:
  host: one.example
  path: /v1/chat/completions
  configs:
    defaultConfig:
      openAIConfig:
        model: m
        apiKey: {SECRET}
"""
KEPT_OUT = GOOD.replace(SECRET, "${YOUR_DASHSCOPE_API_KEY}")
EXTENDED = KEPT_OUT.replace("  path:", "  endpoint: http://127.0.0.1:8000\n  path:")
MANY_EXTENSIONS = """\
    routeSpecificConfigs:
      first: {openAIConfig: {apis: [chat]}}
      the-second.rule: {openAIConfig: {apis: [chat]}}
---
apiVersion: istio.alibabacloud.com/v1beta1
kind: LLMRoute
metadata: {name: two}
spec:
  host: two.example
  rules:
  - name: first
    matches: [{headers: {plan: {exact: free}}}]
    backendRefs: [{providerHost: one.example}]
    retry: {attempts: 1}
  - name: the-second.rule
    backendRefs: [{providerHost: one.example}]
    retry: {attempts: 2}
    timeouts: {idle: 5}
"""
WARNED = (
    KEPT_OUT
    + """\
    routeSpecificConfigs:
      no-such-rule:
        openAIConfig:
          model: other
"""
)
BAD_PROVIDER = GOOD.replace("host: one.example", "host: https://one.example").replace(
    "model: m", "modle: m"
)
BAD_ROUTE = """\
apiVersion: istio.alibabacloud.com/v1beta1
kind: LLMRoute
metadata:
  name: two
spec:
  host: two.example
  rules:
  - backendRefs:
    - providerHost: one.example
      weight: -1
"""
BAD_PATTERN = """\
apiVersion: istio.alibabacloud.com/v1beta1
kind: LLMRoute
metadata:
  name: four
spec:
  host: four.example
  rules:
  - matches:
    - headers:
        user-type:
          regex: "(a"
    backendRefs:
    - providerHost: nobody.example
"""
BAD_YAML = "kind: LLMProvider\nspec:\n  host: [one\n"
MISSING_KEY = GOOD.replace("one", "three").replace(SECRET, "${NO_SUCH_VARIABLE}")


def _validate(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["validate", *map(str, arguments)])


@pytest.fixture
def mistakes(tmp_path: Path) -> Path:
    texts = {
        "1-provider.yaml": BAD_PROVIDER,
        "2-route.yml": BAD_ROUTE,
        "3-yaml.yaml": BAD_YAML,
        "4-key.yaml": MISSING_KEY,
        "5-pattern.yaml": BAD_PATTERN,
        "notes.txt": "this is no manifest",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_six_manifests_are_good() -> None:
    result = _validate(MANIFESTS)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "dashscope.aliyuncs.com" in result.stderr


@rows("count", range(1, 7))
def test_any_beginning_of_the_six_manifests_is_good(count: int) -> None:
    # In their order each state is one that a user of ASM is in for a while.
    paths = sorted(MANIFESTS.glob("*.yaml"))[:count]
    result = _validate(*paths)
    assert (result.exit_code, result.stdout) == (0, "")


def test_every_mistake_is_listed_with_its_place(mistakes: Path) -> None:
    result = _validate(mistakes)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    found = [re.fullmatch(r"(.+?):(\d+):(\d+): (.+)", line) for line in lines]
    assert all(found), lines
    places = [(Path(m[1]).name, int(m[2])) for m in found if m]
    wanted = [
        ("1-provider.yaml", 6),  # the scheme in the host
        ("1-provider.yaml", 11),  # the misspelt field
        ("2-route.yml", 10),  # the weight
        ("4-key.yaml", 12),  # the missing variable
        ("5-pattern.yaml", 11),  # the regular expression
        ("5-pattern.yaml", 13),  # a provider that nobody has declared
    ]
    assert [place for place in wanted if place not in places] == []
    assert "3-yaml.yaml" in {name for name, _ in places}
    assert "notes.txt" not in result.stdout
    assert "NO_SUCH_VARIABLE" in result.stdout
    assert "did you mean" in result.stdout


def test_the_same_as_json(mistakes: Path) -> None:
    result = _validate("--json", mistakes)
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert set(report) == {"problems", "extensions"}
    keys = {"source", "line", "column", "field", "message", "severity"}
    assert {frozenset(problem) for problem in report["problems"]} == {frozenset(keys)}
    assert len(report["problems"]) == len(_validate(mistakes).stdout.splitlines())


def test_a_good_configuration_as_json() -> None:
    result = _validate("--json", MANIFESTS)
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"problems": [], "extensions": []}


def test_warnings_are_told_and_do_not_fail(tmp_path: Path) -> None:
    path = tmp_path / "mesh.yaml"
    path.write_text(WARNED)
    result = _validate(path)
    assert result.exit_code == 0
    assert re.match(rf"{re.escape(str(path))}:\d+:\d+: warning: .*no-such-rule", result.stdout)
    (problem,) = json.loads(_validate("--json", path).stdout)["problems"]
    assert problem["severity"] == "warning"


def test_fields_beyond_asm_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "mesh.yaml"
    path.write_text(EXTENDED)
    result = _validate(path, "--extensions")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "extension beyond ASM: LLMProvider one: spec.endpoint\n" in result.stderr
    assert json.loads(_validate("--json", path).stdout)["extensions"] == [
        {"kind": "LLMProvider", "name": "one", "field": "spec.endpoint"}
    ]


def test_each_field_beyond_asm_is_named_once_for_its_kind(tmp_path: Path) -> None:
    path = tmp_path / "mesh.yaml"
    path.write_text(EXTENDED + MANY_EXTENSIONS)
    result = _validate(path)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.splitlines()[:2] == [
        "extensions beyond ASM: LLMProvider:"
        " spec.configs.routeSpecificConfigs[].openAIConfig.apis (2), spec.endpoint",
        "extensions beyond ASM: LLMRoute: spec.rules[].retry (2), spec.rules[].timeouts",
    ]


@pytest.mark.parametrize("option", [(), ("--json",)])
@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        BAD_PROVIDER,
        GOOD.replace(f"apiKey: {SECRET}", f"apiKey: [{SECRET}]"),
        GOOD.replace(f"apiKey: {SECRET}", f'apiKey: "{SECRET}\\r\\n"'),
        GOOD.replace(f"apiKey: {SECRET}", f"apikey: {SECRET}"),
        GOOD.replace(f"apiKey: {SECRET}", f"apiKey: {SECRET}\n        apiKey: {SECRET}"),
        GOOD.replace(f"apiKey: {SECRET}", f"apiKey: '{SECRET}"),
    ],
    ids=["good", "bad beside it", "a list", "a line break", "misspelt", "twice", "unclosed"],
)
def test_a_secret_is_never_printed(tmp_path: Path, text: str, option: tuple[str, ...]) -> None:
    path = tmp_path / "mesh.yaml"
    path.write_text(text)
    result = _validate(*option, path)
    assert SECRET not in result.output
    assert SECRET[:8] not in result.output


def test_a_path_that_is_missing_is_told() -> None:
    result = _validate("/nowhere/mesh.yaml", MANIFESTS)
    assert result.exit_code == 1
    assert result.stdout == "/nowhere/mesh.yaml: cannot be read: No such file or directory\n"


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    result = _validate(tmp_path)
    assert result.exit_code == 1
    assert str(tmp_path) in result.stdout


def test_no_path_is_a_usage_error() -> None:
    assert _validate().exit_code == 2


@pytest.mark.slow
def test_it_fails_as_a_process(run: Run, mistakes: Path) -> None:
    bad = run("validate", mistakes)
    assert (bad.returncode, "Traceback" in bad.stderr) == (1, False)


OTHERS = "apiVersion: v1\nkind: {}\nmetadata: {{name: a}}\n---\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the file is empty"),
        ("\n  \n", "the file is empty"),
        ("# later\n", "no LLMProvider or LLMRoute in it, found no document at all"),
        ("---\n---\n", "found no document at all"),
        ("apiVersion: v1\nkind: List\nitems: []\n", "found no document at all"),
        (OTHERS.format("Secret") * 2 + OTHERS.format("Service"), "found 2 'Secret', 1 'Service'"),
        (GOOD.replace("  host:", "  workloadSelector: {labels: {app: web}}\n  host:"), "app=web"),
    ],
)
def test_nothing_for_the_mesh_ends_with_1_and_what_is_there_instead(
    tmp_path: Path, text: str, told: str
) -> None:
    path = tmp_path / "mesh.yaml"
    path.write_text(text)
    result = _validate(path)
    assert result.exit_code == 1
    assert str(path) in result.stdout
    assert told in result.stdout


KEYLESS = [
    "apiKey: ${NOT_SET_HERE}",
    "apiKeyFrom: {env: NOT_SET_HERE}",
    "apiKeyFrom: {file: /nowhere/key}",
    "apiKeyFrom: {secretKeyRef: {name: a, key: b}}",
    "headers: {x-team: 'a ${NOT_SET_HERE}'}",
    "model: ${NOT_SET_HERE}",
]


@pytest.mark.parametrize("key", KEYLESS)
def test_without_keys_manifests_can_be_validated_all_the_same(tmp_path: Path, key: str) -> None:
    path = tmp_path / "mesh.yaml"
    path.write_text(GOOD.replace("model: m", "stream: false").replace(f"apiKey: {SECRET}", key))
    assert _validate(path).exit_code == 1
    result = _validate("--no-env", path)
    assert (result.exit_code, result.stdout) == (0, "")


def test_without_keys_an_endpoint_may_be_a_variable(tmp_path: Path) -> None:
    path = tmp_path / "mesh.yaml"
    path.write_text(EXTENDED.replace("http://127.0.0.1:8000", "${NOT_SET_URL}"))
    assert _validate("--no-env", path).exit_code == 0


def test_without_keys_other_mistakes_are_found(mistakes: Path) -> None:
    full, keyless = _validate(mistakes), _validate("--no-env", mistakes)
    assert [name in full.stdout for name in ("4-key.yaml", "1-provider.yaml:11")] == [True, True]
    assert [name in keyless.stdout for name in ("4-key.yaml", "1-provider.yaml:11")] == [
        False,
        True,
    ]
