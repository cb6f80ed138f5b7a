"""Print the lowest versions that pyproject.toml allows, as constraints for pip.

    python .ci/lower_bounds.py               what the package and its extras need, `dev` left out
    python .ci/lower_bounds.py --extras      the names of these extras, with commas between them

`.ci/lowest` makes an environment with just these versions, and runs tests in it.
`dev` is left out since some of its tools need newer versions of what applications share with us.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


class Unbounded(Exception):
    """A requirement that does not say what its lowest version is."""


def main() -> int:
    """Print what was asked for; 1 if a requirement has no lower bound."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--extras", action="store_true", help="print the names of the extras")
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    try:
        if parser.parse_args().extras:
            print(",".join(extras(project)))
        else:
            print("\n".join(constraints(project)))
    except Unbounded as exc:
        print(f"{PYPROJECT.name}: {exc}", file=sys.stderr)
        return 1
    return 0


def extras(project: Mapping[str, Any]) -> list[str]:
    """Return the extras that users install."""
    return [name for name in project["optional-dependencies"] if name != "dev"]


def constraints(project: Mapping[str, Any]) -> Iterator[str]:
    """Yield `name==version` for each requirement, with its marker."""
    yield from map(lowest, project["dependencies"])
    for extra in extras(project):
        yield from map(lowest, project["optional-dependencies"][extra])


def lowest(written: str) -> str:
    """Return the constraint that admits only the lowest version of a requirement."""
    requirement = Requirement(written)
    bounds = [each.version for each in requirement.specifier if each.operator == ">="]
    if len(bounds) != 1:
        raise Unbounded(f"{written}: expected one lower bound, such as {requirement.name}>=1.2")
    pinned = f"{requirement.name}=={bounds[0]}"
    return f"{pinned}; {requirement.marker}" if requirement.marker else pinned


if __name__ == "__main__":
    sys.exit(main())
