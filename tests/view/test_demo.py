"""`llm-mesh demo --view`: steady traffic, and keys that break providers and heal them."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from llm_mesh_middleware.cli.main import main
from tests.processes import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    command = (sys.executable, "-u", "-m", "llm_mesh_middleware.cli", "demo", "--view")
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [*command, "--port", "0"], env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        found = re.search(rb"http://[\d.:]+", process.stdout.readline())
        assert found is not None
        yield process, found[0].decode()
        process.kill()


def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        options = ["demo", "--view", "--port", str(port)]
        result = CliRunner().invoke(main, options)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: cannot show the view on 127.0.0.1 port {port}: ")


def test_keys_break_a_provider_and_heal_it(
    demo: tuple[subprocess.Popen[bytes], str], tmp_path: Path
) -> None:
    process, url = demo
    assert process.stdin is not None

    def press(key: bytes) -> None:
        assert process.stdin is not None
        process.stdin.write(key)
        process.stdin.flush()

    def until(is_so: Callable[[dict[str, Any]], bool], within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while not is_so(httpx.get(f"{url}/snapshot.json", trust_env=False).json()):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def state(snapshot: dict[str, Any]) -> str:
        found: str = snapshot["providers"]["dashscope.aliyuncs.com"]["state"]
        return found

    until(lambda each: len(each["calls"]) > 10, 20)
    press(b"1")
    until(lambda each: state(each) == "ejected", 10)
    press(b"4")
    until(lambda each: state(each) == "healthy", 20)
    press(b"3")
    until(lambda each: state(each) == "rate_limited", 10)
    press(b"x")
    assert process.wait(20) == 0
    assert list(tmp_path.iterdir()) == []
