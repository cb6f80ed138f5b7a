"""`llm-mesh explain`, `schema` and `completion` as somebody at a shell has them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from llm_mesh_middleware.cli.main import main
from llm_mesh_middleware.config import json_schema
from tests.canaries import canary, leaks
from tests.conftest import DASHSCOPE, DASHSCOPE_KEY, DEMO, MANIFESTS, MOONSHOT, MOONSHOT_KEY
from tests.rows import rows

COMMANDS = [
    "cache",
    "check",
    "completion",
    "convert",
    "demo",
    "explain",
    "export",
    "init",
    "schema",
    "serve",
    "status",
    "tail",
    "top",
    "validate",
]
CONSUMER = """\
apiVersion: istio.alibabacloud.com/v1beta1
kind: LLMProvider
metadata: {name: one}
spec:
  host: one.example
  endpoint: http://127.0.0.1:8000
---
apiVersion: istio.alibabacloud.com/v1beta1
kind: LLMRoute
metadata: {name: two}
spec:
  host: two
  rules:
  - name: team
    matches: [{attributes: {consumer: {exact: team-a}}}]
    backendRefs: [{providerHost: one.example}]
"""


def explain(*arguments: object, config: Path | None = MANIFESTS, **options: object) -> Result:
    given = [] if config is None else ["--config", str(config)]
    command = ["explain", *given, *map(str, arguments)]
    return CliRunner().invoke(main, command, **options)  # type: ignore[arg-type]


def test_a_request_is_explained_in_plain_lines_without_keys() -> None:
    result = explain("--host", DASHSCOPE, "-H", "user-type: free", "-d", '{"model":"m"}')
    assert (result.exit_code, result.stderr) == (0, "")
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["selected", "rules[1]", "matches", "everything"] in lines
    assert [
        *("skipped", "vip-route", "matches[0].headers.user-type.exact", "'subscriber':"),
        *("the", "request", "has", "'free'"),
    ] in lines
    assert ["url", "POST", f"https://{DASHSCOPE}/compatible-mode/v1/chat/completions"] in lines
    assert ["header", "authorization:", "Bearer", "***"] in lines
    assert ["body", "model", "replaced:", '"qwen1.5-72b-chat"'] in lines
    for key in (DASHSCOPE_KEY, MOONSHOT_KEY):
        assert not any(piece in result.output for piece in (key[:8], key[3:9], key[-8:]))


def test_a_split_is_explained_as_json_without_keys() -> None:
    result = explain("--host", DEMO, "--json")
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert [(one["host"], one["share"]) for one in told["backends"]] == [
        (DASHSCOPE, 0.5),
        (MOONSHOT, 0.5),
    ]
    assert (told["rule"], told["refusal"]) == ("migrate-rule", None)
    assert told["timeouts"]["connect"] == 5
    assert "canary" not in result.stdout


def test_path_and_method_are_taken(tmp_path: Path) -> None:
    served = explain("--host", DASHSCOPE, "--path", "/v1/models")
    assert f"GET http://{DASHSCOPE}/v1/models" in served.stdout
    refused = explain("--host", DASHSCOPE, "--path", "/v1/models", "--method", "POST")
    assert (served.exit_code, refused.exit_code) == (0, 1)
    assert "405 method_not_allowed" in refused.stdout


def test_a_request_that_would_be_refused_ends_with_1() -> None:
    result = explain("--host", "nowhere.example")
    assert result.exit_code == 1
    assert "404 route_not_found" in result.stdout


def test_attributes_and_the_endpoint_are_told(tmp_path: Path) -> None:
    path = tmp_path / "mesh.yaml"
    path.write_text(CONSUMER)
    refused = explain("--host", "two", config=path)
    assert "attributes.consumer.exact 'team-a': the request has none" in refused.stdout
    served = explain("--host", "two", "--attribute", "consumer=team-a", config=path)
    assert (refused.exit_code, served.exit_code) == (1, 0)
    assert "connects to  http://127.0.0.1:8000" in served.stdout


def test_a_client_key_makes_the_consumer(tmp_path: Path) -> None:
    path = tmp_path / "mesh.yaml"
    path.write_text(CONSUMER)
    environ = {"LLM_MESH_CLIENT_KEYS": json.dumps({"team-a": canary("team-a")})}
    field = f"Authorization: Bearer {canary('team-a')}"
    result = explain("--host", "two", "-H", field, config=path, env=environ)
    assert result.exit_code == 0, result.output
    assert not leaks(result.output)


def test_the_configuration_may_come_from_the_environment() -> None:
    environ = {"LLM_MESH_CONFIG": str(MANIFESTS)}
    assert explain("--host", DASHSCOPE, config=None, env=environ).exit_code == 0


@pytest.mark.parametrize("spelling", ["@{file}", "-", "@-"])
def test_the_body_may_come_from_a_file_or_standard_input(tmp_path: Path, spelling: str) -> None:
    body = '{"model": "from-afar"}'
    file = tmp_path / "body.json"
    file.write_text(body)
    result = explain(
        "--host",
        DASHSCOPE,
        "-d",
        spelling.format(file=file),
        "--path",
        "/v1/embeddings",
        input=body,
    )
    assert "priority 0  100 %  dashscope-qwen  from-afar" in result.stdout


@rows(
    ("arguments", "told"),
    [
        ((), "--host"),
        (("--host", DASHSCOPE, "-H", "sk-canary-without-a-colon"), "'name: value'"),
        (("--host", DASHSCOPE, "-H", ": x"), "'name: value'"),
        (("--host", DASHSCOPE, "-H", "x: 中"), "latin-1"),
        (("--host", DASHSCOPE, "--attribute", "plan"), "'name=value'"),
        (("--host", DASHSCOPE, "-d", "@/nowhere/body.json"), "No such file"),
        (("--host", f"http://{DASHSCOPE}/v1"), "without http://"),
        (("--host", DASHSCOPE, "--path", "v1/models"), "a path begins with /"),
    ],
)
def test_a_wrong_command_line_ends_with_2(arguments: tuple[str, ...], told: str) -> None:
    result = explain(*arguments)
    assert result.exit_code == 2
    assert told in result.stderr
    assert not leaks(result.output)


def test_no_configuration_at_all_is_a_usage_error() -> None:
    result = explain("--host", DASHSCOPE, config=None)
    assert result.exit_code == 2
    assert "--config" in result.stderr


def test_a_configuration_that_cannot_be_used_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("YOUR_DASHSCOPE_API_KEY")
    done = explain("--host", DASHSCOPE)
    assert (done.exit_code, done.stdout, "Traceback" in done.stderr) == (1, "", False)
    assert "YOUR_DASHSCOPE_API_KEY is not set" in done.stderr


@rows("kind", ["LLMProvider", "LLMRoute", None])
def test_the_schema_is_printed_as_json(kind: str | None) -> None:
    result = CliRunner().invoke(main, ["schema", *([kind] if kind else [])])
    assert result.exit_code == 0
    schema = json.loads(result.stdout)
    assert schema.get("title") == kind
    if kind is None:
        assert schema == json_schema()


def test_a_kind_that_is_none_is_a_usage_error() -> None:
    assert CliRunner().invoke(main, ["schema", "Service"]).exit_code == 2


@rows("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_one_of_its_shell(shell: str) -> None:
    result = CliRunner().invoke(main, ["completion", shell])
    assert result.exit_code == 0
    assert f"_LLM_MESH_COMPLETE={shell}_complete" in result.stdout
    if shutil.which(shell) and shell != "fish":
        done = subprocess.run([shell, "-n"], input=result.stdout, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


@rows(
    ("words", "expected"),
    [
        ("llm-mesh ", COMMANDS),
        ("llm-mesh sch", ["schema"]),
        ("llm-mesh schema ", ["LLMProvider", "LLMRoute", "LLMPolicy", "InferencePool"]),
        ("llm-mesh explain --ho", ["--host"]),
        ("llm-mesh serve --log-format ", ["text", "logfmt", "json"]),
    ],
)
def test_bash_completes_commands_options_and_values(words: str, expected: list[str]) -> None:
    environ = {
        "_LLM_MESH_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(re.split(r" +", words)) - 1),
    }
    done = CliRunner().invoke(main, [], prog_name="llm-mesh", env=environ)
    assert [line.partition(",")[2] for line in done.stdout.splitlines()] == expected
