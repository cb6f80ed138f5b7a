"""The lowest versions are those of pyproject.toml, which is the only place that says them."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
CI = ROOT / ".ci"
pytestmark = pytest.mark.skipif(not CI.is_dir(), reason="the sdist has no .ci")


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(CI / "lower_bounds.py"))


@pytest.mark.parametrize(
    ("written", "pinned"),
    [
        ("a>=1.2", "a==1.2"),
        ("a[b,c]>=7", "a==7"),
        ("a<3,>=2.0b1", "a==2.0b1"),
        ('a>=1; sys_platform != "win32"', 'a==1; sys_platform != "win32"'),
    ],
)
def test_a_lower_bound_becomes_the_only_version(
    script: dict[str, Any], written: str, pinned: str
) -> None:
    assert script["lowest"](written) == pinned


@pytest.mark.parametrize("written", ["a", "a<2", "a~=1.4", "a>=1,>=2"])
def test_a_requirement_without_one_lower_bound_is_named(
    script: dict[str, Any], written: str
) -> None:
    with pytest.raises(script["Unbounded"], match=re.escape(f"{written}: expected one lower")):
        script["lowest"](written)


def test_every_requirement_of_users_is_pinned(script: dict[str, Any]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = dict(project["optional-dependencies"])
    del optional["dev"]
    written = [*project["dependencies"], *(one for each in optional.values() for one in each)]

    pins = [Requirement(line) for line in script["constraints"](project)]

    assert script["extras"](project) == list(optional)
    assert [pin.name for pin in pins] == [Requirement(each).name for each in written]
    for pin, each in zip(pins, written, strict=True):
        assert str(pin.specifier).replace("==", ">=") in str(Requirement(each).specifier)


@pytest.mark.parametrize("name", ["lowest", "lower_bounds.py", "run"])
def test_no_script_says_a_version_again(name: str) -> None:
    assert re.findall(r"\w(?:\[\w+\])? ?[=>~]=\d.*", (CI / name).read_text()) == []
