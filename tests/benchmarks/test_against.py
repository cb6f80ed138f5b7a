"""What two checkouts are compared with serves under both of them."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.benchmarks.against import KINDS, check_checkout
from tests.benchmarks.contenders import CONTENDERS

# Of what the apps use, these are the names that the first edition has.
FIRST_EDITION = {
    "LLMMeshMiddleware",
    "LLMMeshWSGIMiddleware",
    "LLMProvider",
    "LLMRoute",
    "MeshSettings",
}


def test_apps_that_are_compared_import_what_the_first_edition_has() -> None:
    apps = {CONTENDERS[kind.contender].app.partition(":")[0] for kind in KINDS}
    imported = set().union(*map(imports_of, apps))

    assert "LLMMeshMiddleware" in imported
    assert imported <= FIRST_EDITION


def test_what_is_not_a_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="is not a checkout"):
        check_checkout(tmp_path)


def imports_of(module: str) -> set[str]:
    """Names that a module of the benchmark imports from the package, and those that it imports.

    Modules inside the package count by their full names. What functions import is left out: the
    apps that are compared do not call them.
    """
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    names: set[str] = set()
    for line in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        if isinstance(line, ast.Import):
            names |= {alias.name for alias in line.names if alias.name.startswith("llm_mesh")}
        elif isinstance(line, ast.ImportFrom) and line.module is not None:
            found = {alias.name for alias in line.names}
            if line.module == "llm_mesh_middleware":
                names |= found
            elif line.module.startswith("llm_mesh"):
                names.add(line.module)
            elif line.module.startswith("tests.benchmarks.apps"):
                parents = {f"{line.module}.{name}" for name in found}
                for inner in {line.module, *parents}:
                    names |= imports_of(inner) if _is_module(inner) else set()
    return names


def _is_module(name: str) -> bool:
    try:
        found = find_spec(name)
    except ModuleNotFoundError:
        return False
    return found is not None and found.origin is not None
