"""`llm-mesh serve` warns who would serve the whole network."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from llm_mesh_middleware.cli.main import main
from llm_mesh_middleware.cli.serving.exposure import warn_if_exposed
from llm_mesh_middleware.settings import load_settings
from tests.canaries import canary
from tests.conftest import MANIFESTS
from tests.rows import rows

NOT_OURS = "203.0.113.9"  # an address for documentation, so nothing can listen on it


KEYS = {"alice": canary("alice")}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.5", "mesh.example", NOT_OURS])
@pytest.mark.parametrize(
    ("access", "keys", "is_told"),
    [
        ("open", {}, True),
        ("open", KEYS, True),
        ("private", {}, True),
        ("private", KEYS, False),
        ("keys", KEYS, False),
        ("keys", {}, False),
    ],
)
def test_an_address_that_others_reach_is_warned_of_unless_there_are_keys(
    capsys: pytest.CaptureFixture[str],
    access: str,
    keys: dict[str, str],
    host: str,
    *,
    is_told: bool,
) -> None:
    warn_if_exposed(load_settings(access=access, client_keys=keys), host)
    told = capsys.readouterr().err
    assert told.startswith(f"warning: LLM_MESH_ACCESS={access} on ") is is_told
    assert told.endswith("set LLM_MESH_CLIENT_KEYS and LLM_MESH_ACCESS=keys\n") is is_told


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.0.1", "::1", "[::1]", "localhost", "LOCALHOST"]
)
@pytest.mark.parametrize("access", ["open", "private"])
def test_loopback_is_nobodys_business(
    capsys: pytest.CaptureFixture[str], access: str, host: str
) -> None:
    warn_if_exposed(load_settings(access=access), host)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_mesh_that_nobody_can_use_is_warned_of(
    capsys: pytest.CaptureFixture[str], host: str
) -> None:
    warn_if_exposed(load_settings(access="keys"), host)
    assert "LLM_MESH_CLIENT_KEYS is not set: every request is refused" in capsys.readouterr().err
    warn_if_exposed(load_settings(access="keys", client_keys=KEYS), host)
    assert capsys.readouterr().err == ""


@rows(("access", "is_told"), [("open", True), ("private", True), ("keys", False)])
def test_the_warning_comes_before_anything_is_served(access: str, *, is_told: bool) -> None:
    arguments = ["serve", "--config", str(MANIFESTS), "--host", NOT_OURS, "--port", "0"]
    result = CliRunner().invoke(main, arguments, env={"LLM_MESH_ACCESS": access})
    assert result.exit_code == 1
    assert f"cannot listen on {NOT_OURS}" in result.stderr
    assert ("can use your API keys" in result.stderr) is is_told
