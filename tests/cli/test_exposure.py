"""`llm-mesh serve` warns who would serve the whole network."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from llm_mesh_middleware.cli.exposure import warn_if_exposed
from llm_mesh_middleware.cli.main import main
from tests.conftest import MANIFESTS

NOT_OURS = "203.0.113.9"  # an address for documentation, so nothing can listen on it


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.5", "mesh.example", NOT_OURS])
@pytest.mark.parametrize("access", ["open", "keys", "private"])
def test_open_on_an_address_that_others_reach_is_warned_of(
    capsys: pytest.CaptureFixture[str], access: str, host: str
) -> None:
    warn_if_exposed(access, host)
    told = capsys.readouterr().err
    assert told.startswith("warning: LLM_MESH_ACCESS=open on ") is (access == "open")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.0.1", "::1", "[::1]", "localhost", "LOCALHOST"]
)
def test_loopback_is_nobodys_business(capsys: pytest.CaptureFixture[str], host: str) -> None:
    warn_if_exposed("open", host)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("access", "is_told"), [("open", True), ("keys", False)])
def test_the_warning_comes_before_anything_is_served(access: str, *, is_told: bool) -> None:
    arguments = ["serve", "--config", str(MANIFESTS), "--host", NOT_OURS, "--port", "0"]
    result = CliRunner().invoke(main, arguments, env={"LLM_MESH_ACCESS": access})
    assert result.exit_code == 1
    assert f"cannot listen on {NOT_OURS}" in result.stderr
    assert ("spends your keys" in result.stderr) is is_told
