"""What `llm-mesh serve` does not start with, and how it says so."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from llm_mesh_middleware.cli.main import main
from tests.conftest import DASHSCOPE_KEY, MANIFESTS
from tests.processes import free_port

FIRST = MANIFESTS / "01-LLMProvider.yaml"


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`fail("--port", 0)`: `serve` in this process, for what ends before anything is served."""
    monkeypatch.setenv("LLM_MESH_CONFIG", "")  # the command sets it for its workers
    monkeypatch.setenv("YOUR_DASHSCOPE_API_KEY", DASHSCOPE_KEY)

    def fail(*options: object) -> Result:
        return CliRunner().invoke(main, ["serve", *map(str, options)])

    return fail


def test_a_bad_configuration_is_told_before_listening(
    fail: Callable[..., Result], tmp_path: Path
) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("kind: LLMRoute\n")
    second.write_text("kind: [\n")
    port = free_port()
    done = fail("--port", port, "--config", first, "-c", second, "-c", tmp_path / "none")
    assert done.exit_code == 1
    for path in (first, second, tmp_path / "none"):
        assert str(path) in done.stderr
    assert "Traceback" not in done.stderr
    assert "running" not in done.stderr + done.stdout


def test_a_missing_key_is_told_by_its_variable(
    fail: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("YOUR_DASHSCOPE_API_KEY")
    monkeypatch.delenv("YOUR_MOONSHOT_API_KEY")
    done = fail("--port", 0, "--config", MANIFESTS)
    assert done.exit_code == 1
    assert "YOUR_DASHSCOPE_API_KEY" in done.stderr
    assert "YOUR_MOONSHOT_API_KEY" in done.stderr


def test_wrong_settings_are_told_by_their_variable(
    fail: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_MESH_ACCESS", "all")
    done = fail("--config", MANIFESTS)
    assert done.exit_code == 1
    assert done.stderr.startswith("LLM_MESH_ACCESS: ")


def test_nothing_to_serve_is_a_usage_error(fail: Callable[..., Result]) -> None:
    done = fail()
    assert done.exit_code == 2
    assert "give --config or set LLM_MESH_CONFIG" in done.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("# later\n", "no LLMProvider or LLMRoute in it"),
        ("", "the file is empty"),
        (
            "apiVersion: istio.alibabacloud.com/v1\nkind: LLMRoute\nmetadata: {name: a}\n"
            "spec: {host: a, gateways: [edge], rules: [{backendRefs: [{providerHost: b}]}]}\n",
            "names no gateway of this process (LLM_MESH_GATEWAYS)",
        ),
    ],
)
def test_manifests_with_nothing_for_this_process_are_not_served(
    fail: Callable[..., Result], tmp_path: Path, text: str, told: str
) -> None:
    path = tmp_path / "mesh.yaml"
    path.write_text(text)
    done = fail("--config", path)
    assert done.exit_code == 1
    assert str(path) in done.stderr
    assert told in done.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_a_port_in_use_is_a_clear_error(fail: Callable[..., Result], workers: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = fail("--config", FIRST, "--port", port, "--workers", workers)
    assert done.exit_code == 1
    assert done.stderr == (
        f"Error: cannot listen on 127.0.0.1 port {port}: Address already in use\n"
    )


def test_a_port_in_use_is_a_clear_error_for_the_view_too(fail: Callable[..., Result]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = fail("--config", FIRST, "--port", 0, "--view", f"127.0.0.1:{port}")
    assert done.exit_code == 1
    assert done.stderr == (
        f"Error: cannot show the view on 127.0.0.1 port {port}: Address already in use\n"
    )


def test_an_unknown_address_is_a_clear_error(fail: Callable[..., Result]) -> None:
    done = fail("--config", FIRST, "--host", "nowhere.invalid")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1] == (
        "Error: cannot listen on nowhere.invalid port 15001: unknown host"
    )


@pytest.mark.parametrize(
    ("host", "told"),
    [("dashscope.aliyun.com", "did you mean `dashscope.aliyuncs.com`?"), ("a b", "space")],
)
def test_a_default_host_must_be_a_virtual_host(
    fail: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, host: str, told: str
) -> None:
    monkeypatch.setenv("LLM_MESH_DEFAULT_HOST", host)
    done = fail("--config", MANIFESTS)
    assert done.exit_code == 1
    assert done.stderr.startswith("LLM_MESH_DEFAULT_HOST: ")
    assert told in done.stderr
