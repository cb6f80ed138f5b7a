"""`llm-mesh init`: a folder that works as it is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from llm_mesh_middleware import Mesh
from llm_mesh_middleware.cli.main import main
from tests.canaries import canary


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    result = CliRunner().invoke(main, ["init", str(tmp_path / "mesh")])
    assert result.exit_code == 0, result.output
    return tmp_path / "mesh"


def test_the_folder_validates_without_a_problem(folder: Path) -> None:
    result = CliRunner().invoke(main, ["validate", "--no-env", str(folder)])

    assert (result.exit_code, result.stdout) == (0, "")
    assert "virtual hosts: llm, api.openai.com" in result.stderr


@pytest.mark.parametrize(
    ("headers", "model"),
    [([], "gpt-4.1-mini"), ([("user-type", "subscriber")], "gpt-4.1")],
)
def test_requests_are_routed_as_its_comments_say(
    folder: Path, headers: list[tuple[str, str]], model: str
) -> None:
    mesh = Mesh(str(folder), environ={"OPENAI_API_KEY": canary("starter")})

    explanation = mesh.explain("llm", path="/v1/chat/completions", headers=headers)

    assert explanation.is_served
    assert f'"{model}"' in explanation.to_text()


def test_every_commented_line_is_configuration_or_a_sentence(folder: Path) -> None:
    """With the examples taken in, the folder still validates."""
    providers, routes = folder / "providers.yaml", folder / "routes.yaml"
    text = providers.read_text()
    head, _, tail = text.partition("# ---\n")
    example = "\n".join(line.removeprefix("# ") for line in tail.splitlines()[1:])
    providers.write_text(f"{head}---\n{example}\n")
    for before, after in (("    #   weight: 90", "      weight: 90"),
                          ("    # - providerHost: local.llm\n    #   weight: 10",
                           "    - providerHost: local.llm\n      weight: 10")):  # fmt: skip
        assert before in routes.read_text()
        routes.write_text(routes.read_text().replace(before, after, 1))

    result = CliRunner().invoke(main, ["validate", "--no-env", str(folder)])

    assert (result.exit_code, result.stdout) == (0, "")


@pytest.mark.parametrize("name", ["providers.yaml", "routes.yaml"])
def test_nothing_is_written_over_a_file_that_exists(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")

    result = CliRunner().invoke(main, ["init", str(tmp_path)])

    assert (result.exit_code, [path.name for path in tmp_path.iterdir()]) == (1, [name])
    assert (tmp_path / name).read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    result = CliRunner().invoke(main, ["init", str(tmp_path / "file" / "mesh")])

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: cannot write to ")
    assert len(result.stderr.splitlines()) == 1
