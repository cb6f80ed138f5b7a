"""What the distribution promises: its metadata, its public names, how little an import loads."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import llm_mesh_middleware
from llm_mesh_middleware import exceptions
from tests.rows import rows
from tests.test_docs import GENERATED

ROOT = Path(__file__).resolve().parent.parent
_PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT, TOOL = _PYPROJECT["project"], _PYPROJECT["tool"]
LINK = re.compile(r"\]\(([^)\s]+)\)")

DEPENDENCIES = {
    "aiohttp",
    "httpx",
    "msgspec",
    "opentelemetry-instrumentation-httpx",
    "opentelemetry-sdk",
    "pydantic",
    "pydantic-settings",
    "pyyaml",
    "starlette",
}
EXTRAS = {
    *("bedrock", "cli", "dev", "django", "epp", "flask", "httpx2", "kubernetes", "otlp", "prices"),
    *("redis", "schema", "semantic", "vertex"),
}

# Frameworks, the SDK and what only the command needs: a user's import must not pay for them.
NOT_IMPORTED = (
    "click",
    "django",
    "flask",
    "kubernetes_asyncio",
    "llm_mesh_django",
    "llm_mesh_flask",
    "llm_mesh_kubernetes",
    "numpy",
    "opentelemetry.sdk",
    "rich",
    "starlette",
    "trustme",
    "uvicorn",
)

NOT_OURS = {"build", "dist", "venv"}  # beside every folder whose name begins with a dot
REGISTRIES = tuple(
    ".".join(parts) for parts in (("pypi", "org"), ("python" + "hosted", "org"), ("pypi", "python"))
)
# Where checkouts and homes usually lie.
MACHINE_PATH = re.compile(r"(?<![\w.$~*-])/(?:builds|home|root|Users|work|workspace)/\w+")


def requirements() -> list[Requirement]:
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    return [Requirement(line) for group in groups for line in group]


def texts() -> list[tuple[Path, str]]:
    """Every text file of the project, as far as that can be told without asking git."""
    files: list[Path] = []
    for folder, subfolders, names in os.walk(ROOT):
        subfolders[:] = [
            name
            for name in subfolders
            if name == ".ci" or not (name.startswith((".", "__pycache__")) or name in NOT_OURS)
        ]
        files += [Path(folder, name) for name in names if name != ".git"]
    contents = [(path.relative_to(ROOT), path.read_bytes()) for path in sorted(files)]
    return [(path, data.decode()) for path, data in contents if b"\0" not in data]


def test_the_package_says_that_it_is_typed() -> None:
    assert Path(llm_mesh_middleware.__file__).with_name("py.typed").is_file()


def test_the_installed_version_is_the_one_the_package_declares() -> None:
    assert importlib.metadata.version("llm-mesh-middleware") == llm_mesh_middleware.__version__


def test_the_direct_dependencies_are_exactly_the_agreed_ones() -> None:
    declared = [canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]]

    assert sorted(declared) == sorted(DEPENDENCIES)


def test_every_extra_is_declared_and_installed_metadata_agrees() -> None:
    provided = importlib.metadata.metadata("llm-mesh-middleware").get_all("Provides-Extra")

    assert set(PROJECT["optional-dependencies"]) == EXTRAS
    # An editable installation has the metadata of the day it was made.
    assert set(provided or ()) <= EXTRAS


@rows("requirement", requirements(), ids=str)
def test_a_requirement_sets_a_lower_bound_and_no_other(requirement: Requirement) -> None:
    operators = [specifier.operator for specifier in requirement.specifier]
    own = canonicalize_name(requirement.name) == PROJECT["name"]

    assert requirement.url is None
    assert operators == ([] if own else [">="])


def test_public_names_are_sorted_and_each_can_be_imported() -> None:
    names = list(llm_mesh_middleware.__all__)

    assert names == sorted(set(names))
    assert [name for name in names if not hasattr(llm_mesh_middleware, name)] == []


def test_every_exception_of_the_mesh_is_public() -> None:
    exceptions = importlib.import_module("llm_mesh_middleware.exceptions").__all__

    assert set(exceptions) <= set(llm_mesh_middleware.__all__)


def test_pytest_finds_the_plugin() -> None:
    (plugin,) = importlib.metadata.entry_points(group="pytest11", name="llm_mesh_pytest")

    assert PROJECT["entry-points"]["pytest11"] == {plugin.name: plugin.value}
    assert plugin.load().__all__ == ["llm_mesh", "llm_upstream"]


@pytest.mark.parametrize("name", ["llm_mesh_pytest", "llm_mesh_pytest.client"])
def test_names_of_the_plugin_are_sorted_and_typed(name: str) -> None:
    module = importlib.import_module(name)

    assert module.__all__ == sorted(module.__all__)
    assert [each for each in module.__all__ if not hasattr(module, each)] == []
    assert Path(module.__file__ or "").with_name("py.typed").is_file()


def test_the_plugin_imports_nothing_of_its_own() -> None:
    """Every run of pytest loads it, also where no test uses it."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import pytest; before = set(sys.modules);"
        "import llm_mesh_pytest; print(*sorted(set(sys.modules) - before))"
    )
    command = [sys.executable, "-I", "-c", code, str(ROOT / "integrations")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout == "llm_mesh_pytest\n"


def test_links_of_the_readme_hold_where_the_package_is_shown() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    for each in TOOL["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(each["pattern"], each["replacement"], text)
    site = PROJECT["urls"]["Homepage"]

    assert [url for url in LINK.findall(text) if not url.startswith("https://")] == []
    pages = [url.removeprefix(site) for url in LINK.findall(text) if url.startswith(site)]
    assert [page for page in pages if not _is_page(page)] == []
    assert len(pages) > 10


def test_errors_lead_to_their_pages() -> None:
    urls = {
        error.__new__(error).help_url  # some are made of more than a message
        for name in exceptions.__all__
        if inspect.isclass(error := getattr(exceptions, name))
        and issubclass(error, exceptions.AnswerableError)
    }

    assert PROJECT["urls"]["Homepage"] == exceptions.DOCUMENTS
    assert len(urls) > 20
    pages = {url.removeprefix(exceptions.DOCUMENTS).rstrip("/") + ".md" for url in urls}
    assert pages - GENERATED.keys() == set()


def _is_page(address: str) -> bool:
    if address.endswith((".png", ".svg")):
        return (ROOT / "docs" / address).is_file()
    name = f"{address.rstrip('/')}.md"
    return (ROOT / "docs" / name).is_file() or name.startswith(("project/", "reference/"))


def test_importing_the_package_imports_no_framework() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import llm_mesh_middleware; "
        "print(*sys.modules, sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(ROOT)], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())

    assert "llm_mesh_middleware" in loaded
    assert loaded.intersection(NOT_IMPORTED) == set()


def test_no_file_names_a_package_registry() -> None:
    found = [(path, host) for path, text in texts() for host in REGISTRIES if host in text]

    assert found == []


def test_no_file_names_a_path_of_one_machine() -> None:
    found = [(path, MACHINE_PATH.findall(text)) for path, text in texts()]

    assert [(path, hits) for path, hits in found if hits] == []
    assert [path for path, text in texts() if str(ROOT) in text] == []
