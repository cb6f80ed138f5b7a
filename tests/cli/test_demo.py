"""`llm-mesh demo`: no key, no network, no traces."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.terminal import on_a_terminal


@pytest.mark.slow
def test_the_demonstration_runs_with_nothing_set_up_and_fits_80_columns(
    run: Run, tmp_path: Path
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    done = run("demo", environ={"TMPDIR": str(temporary)}, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.rglob("*")) == [temporary]

    text, lines = done.stdout, done.stdout.splitlines()
    for told in ("dashscope.aliyuncs.com", "api.moonshot.cn", "qwen1.5-72b-chat", "qwen-turbo"):
        assert told in text
    assert "POST https://dashscope.aliyuncs.com/compatible-mode/v1/chat/completions" in text
    assert "[DONE]" in text
    split = re.search(r"split: dashscope-qwen (\d+), moonshot (\d+)", text)
    assert split is not None
    assert int(split[1]) + int(split[2]) == 40
    rows = [line.split() for line in lines if line.strip().startswith("demo-llm-server ")]
    assert {tuple(row[1:3]) for row in rows} == {
        ("migrate-rule", "dashscope-qwen"),
        ("migrate-rule", "moonshot"),
    }
    assert max(map(len, lines)) <= 80
    assert "…" not in text


@pytest.mark.slow
def test_a_terminal_gets_the_tables_in_colours() -> None:
    shown = on_a_terminal("demo")
    assert re.search(r"\x1b\[[0-9;]*3[1-6]m *vip-route", shown)
    assert "Everything was served as the manifests say." in shown
