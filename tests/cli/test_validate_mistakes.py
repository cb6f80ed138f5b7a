"""`llm-mesh validate`: each mistake by itself, at the very place where it was made."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from llm_mesh_middleware.cli.main import main
from tests.cli.conftest import BARE, COMMAND
from tests.cli.terminal import on_a_terminal
from tests.conftest import MANIFESTS

MARK = "§"  # stands before what is at fault and is not written to the file

PROVIDER = """\
apiVersion: istio.alibabacloud.com/v1beta1
kind: LLMProvider
metadata:
  name: {name}
spec:
  host: {name}.example
  configs:
    defaultConfig:
      openAIConfig:
        {config}
"""
ROUTE = """\
apiVersion: istio.alibabacloud.com/v1beta1
kind: LLMRoute
metadata:
  name: {name}
spec:
  host: {name}
  rules:
  - name: all
    backendRefs:
    - providerHost: good.example
      {rest}
"""

MISTAKES = {
    "01-field": (PROVIDER.format(name="a", config="§modle: m"), "did you mean `model`?"),
    "02-host": (
        PROVIDER.format(name="b", config="model: m").replace("host: ", "host: §https://"),
        "without a scheme",
    ),
    "03-variable": (
        PROVIDER.format(name="c", config="apiKey: §${NOT_SET_ANYWHERE}"),
        "environment variable NOT_SET_ANYWHERE is not set",
    ),
    "04-type": (PROVIDER.format(name="d", config="model: §4"), "put it in quotes"),
    "05-twice": (
        PROVIDER.format(name="e", config="model: m\n        §model: n"),
        "given twice: in line 10 and again in line 11",
    ),
    "06-kind": (
        PROVIDER.format(name="f", config="model: m").replace("LLMProvider", "§LLMProvder"),
        "did you mean `LLMProvider`?",
    ),
    "07-version": (
        PROVIDER.format(name="g", config="model: m")
        .replace("istio", "§istio")
        .replace("1beta1", "2"),
        "must be istio.alibabacloud.com/v1beta1 or istio.alibabacloud.com/v1",
    ),
    "08-host-of-another": (
        PROVIDER.format(name="good", config="model: m")
        .replace("name: good", "name: other")
        .replace("host: ", "host: §"),
        "also that of LLMProvider 'good'",
    ),
    "09-weight": (ROUTE.format(name="i", rest="weight: §-1"), "must be at least 0"),
    "10-provider": (
        ROUTE.format(name="j", rest="").replace("good.example", "§nobody.example"),
        "no LLMProvider has the host 'nobody.example'",
    ),
    "11-pattern": (
        ROUTE.format(name="k", rest="")
        + '    matches:\n    - headers:\n        user-type:\n          regex: §"(a"\n',
        "user-type.regex",
    ),
    "12-syntax": ("kind: LLMRoute\nspec:\n  host: one§: two\n", "is not YAML"),
}


def write(folder: Path, name: str, text: str) -> str:
    """Write the text without its mark; return the place that is marked, as `validate` tells it."""
    before, mark, after = text.partition(MARK)
    path = folder / f"{name}.yaml"
    path.write_text(before + after)
    line, column = before.count("\n") + 1, len(before.rpartition("\n")[2]) + 1
    return f"{path}:{line}:{column}: "


def validated(*paths: Path) -> list[str]:
    result = CliRunner().invoke(main, ["validate", *map(str, paths)])
    assert result.exit_code in (0, 1), result.output
    return result.stdout.splitlines()


def test_twelve_mistakes_in_a_folder_are_all_told_with_line_and_column(tmp_path: Path) -> None:
    write(tmp_path, "00-good", PROVIDER.format(name="good", config="model: m"))
    places = [write(tmp_path, name, text) for name, (text, _) in MISTAKES.items()]
    lines = validated(tmp_path)
    assert len(lines) == len(MISTAKES) == 12
    for line, place, (_, message) in zip(lines, places, MISTAKES.values(), strict=True):
        assert line.startswith(place), (line, place)
        assert message in line


ADVICE = {
    "a key in the file": (
        PROVIDER.format(name="good", config="apiKey: §sk-canary-in-the-file"),
        "contains a literal key; use ${NAME} or apiKeyFrom",
    ),
    "a key that looks like a placeholder": (
        PROVIDER.format(name="good", config="apiKey: §$${NAME}"),
        "contains a literal key",
    ),
    "a key of one rule": (
        ROUTE.format(name="r", rest="")
        + "---\n"
        + PROVIDER.format(name="good", config="model: m")
        + "    routeSpecificConfigs: {all: {openAIConfig: {apiKey: §sk-canary-in-the-file}}}\n",
        "spec.configs.routeSpecificConfigs.all.openAIConfig.apiKey: contains a literal key",
    ),
    "a key in a header": (
        PROVIDER.format(name="good", config="headers: {x-org: b, x-api-key: §sk-canary}"),
        "seems to contain a literal key",
    ),
}
PLAIN = {
    "a variable": PROVIDER.format(name="good", config="apiKey: ${YOUR_DASHSCOPE_API_KEY}"),
    "part of one": PROVIDER.format(name="good", config="apiKey: sk-${YOUR_DASHSCOPE_API_KEY}"),
    "a source": PROVIDER.format(name="good", config="apiKeyFrom: {env: YOUR_DASHSCOPE_API_KEY}"),
    "no key": PROVIDER.format(name="good", config="headers: {x-org: b}"),
}


@pytest.mark.parametrize(("text", "message"), ADVICE.values(), ids=ADVICE)
def test_a_key_that_is_written_out_is_a_warning(tmp_path: Path, text: str, message: str) -> None:
    place = write(tmp_path, "mesh", text)
    (line,) = validated(tmp_path)
    assert line.startswith(f"{place}warning: ")
    assert message in line
    assert "canary" not in line


@pytest.mark.parametrize("text", PLAIN.values(), ids=PLAIN)
def test_a_key_from_elsewhere_is_no_warning(tmp_path: Path, text: str) -> None:
    write(tmp_path, "mesh", text)
    assert validated(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("command", ["validate", "explain"])
def test_a_terminal_gets_the_same_words_in_colours(tmp_path: Path, command: str) -> None:
    path = tmp_path / "mesh.yaml"
    write(tmp_path, "mesh", PROVIDER.format(name="good", config="apiKey: k-canary-0"))
    arguments = ["validate", path]
    if command == "explain":
        arguments = ["explain", "--config", path, "--host", "good.example"]
    plain = CliRunner().invoke(main, list(map(str, arguments))).stdout
    coloured = on_a_terminal(*arguments)
    colourless = on_a_terminal(*arguments, NO_COLOR="1")
    assert re.search(r"\x1b\[[0-9;]*3[1-6]m", coloured)
    assert not re.search(r"\x1b\[[0-9;]*3[1-6]m", colourless)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", coloured).split()
    assert [word for word in plain.split() if word not in shown] == []
    assert "canary" not in plain + coloured


@pytest.mark.slow
def test_a_pipe_gets_no_colours() -> None:
    result = subprocess.run(
        [*COMMAND, "validate", str(MANIFESTS)],
        env=BARE | {"TERM": "xterm-256color"},
        capture_output=True,
        timeout=30,
    )
    assert result.returncode == 1
    assert b"\x1b" not in result.stdout + result.stderr
    assert b"YOUR_DASHSCOPE_API_KEY is not set" in result.stdout
