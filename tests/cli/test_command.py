"""The command itself: its help, its version, and what it says when a library is missing."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from llm_mesh_middleware import __version__
from llm_mesh_middleware.cli.main import main
from tests.cli.conftest import BARE, Run
from tests.conftest import MANIFESTS
from tests.rows import rows

BLOCKED = """
import sys
from importlib.abc import MetaPathFinder

class Blocker(MetaPathFinder):
    missing = {name!r}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == self.missing:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=self.missing)

sys.meta_path.insert(0, Blocker())
sys.argv[0] = "llm-mesh"
from llm_mesh_middleware.cli import main
"""
RUN = "main()"
# To start an interpreter takes longer than all of this; none of the libraries is there before.
RUN_EACH = """
for Blocker.missing, arguments in {cases!r}:
    assert Blocker.missing not in sys.modules
    sys.argv[1:] = arguments
    try:
        main()
    except SystemExit as end:
        sys.stderr.write(f"exit {{end.code}}\\n")
"""


@rows("name", main.commands)
def test_the_help_of_a_command_names_every_option(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    for parameter in main.commands[name].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert all(option in result.output for option in parameter.opts)
        else:
            assert (parameter.name or "").upper() in result.output


def test_the_help_names_every_command_in_one_line_that_is_not_cut_off() -> None:
    result = CliRunner().invoke(main, ["--help"], terminal_width=80)
    assert result.exit_code == 0
    lines = result.output.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in lines] == sorted(main.commands)
    assert [line for line in lines if "..." in line] == []


@pytest.mark.slow
def test_it_runs_as_a_module_under_its_own_name(run: Run) -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"llm-mesh, version {__version__}\n")


def test_an_unknown_command_is_a_usage_error() -> None:
    done = CliRunner().invoke(main, ["srve"])
    assert done.exit_code == 2
    assert "srve" in done.stderr


def run_without(library: str, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python code, where the library is not installed."""
    return subprocess.run(
        [sys.executable, "-c", BLOCKED.format(name=library) + code, *arguments],
        env=BARE | {"YOUR_DASHSCOPE_API_KEY": "k1", "YOUR_MOONSHOT_API_KEY": "k2"},
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.mark.slow
def test_without_click_there_is_no_command_but_a_sentence() -> None:
    done = run_without("click", RUN, "--help")
    assert done.returncode == 1
    assert done.stderr == "click is missing: install llm-mesh-middleware[cli]\n"


@pytest.mark.slow
def test_a_missing_library_is_told_with_the_extra_to_install() -> None:
    serve = ["serve", "--config", str(MANIFESTS)]
    cases = [("uvicorn", serve), ("httptools", serve), ("rich", ["demo"])]
    done = run_without("uvicorn", RUN_EACH.format(cases=cases))
    assert done.stderr.splitlines() == [
        line
        for library, _ in cases
        for line in (f"Error: {library} is missing: install llm-mesh-middleware[cli]", "exit 1")
    ]


@pytest.mark.slow
def test_validate_works_without_what_only_serve_and_demo_need() -> None:
    done = run_without("uvicorn", RUN, "validate", str(MANIFESTS))
    assert (done.returncode, done.stdout) == (0, "")
