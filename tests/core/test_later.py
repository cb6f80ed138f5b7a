"""Objects whose modules are imported when they are first used."""

from __future__ import annotations

import copy
import sys
from importlib import import_module
from pathlib import Path

import pytest

from llm_mesh_middleware._core.later import later, load
from llm_mesh_middleware._dialects.registry import OPERATIONS

MODULE = """
class Greeting:
    name = "greeting"
    def say(self):
        return self
GREETING = Greeting()
"""


@pytest.fixture
def greeting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package with one module, which nobody has imported."""
    package = tmp_path / "greetings_for_later"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "english.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for name in (package.name, f"{package.name}.english"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return package.name


def test_it_is_imported_for_what_is_not_known(greeting: str) -> None:
    english = later(greeting, ".english", "GREETING", name="greeting")
    module = f"{greeting}.english"
    assert (english.name, module in sys.modules) == ("greeting", False)
    assert english.say() is import_module(module).GREETING
    assert english.say is english.say  # kept: no attribute is looked up twice


def test_it_can_be_imported_before_it_is_used(greeting: str) -> None:
    load(later(greeting, ".english", "GREETING"), "anything else")
    assert f"{greeting}.english" in sys.modules


def test_a_copy_imports_nothing(greeting: str) -> None:
    copied = copy.copy(later(greeting, ".english", "GREETING"))
    assert f"{greeting}.english" not in sys.modules
    assert copied.say() is import_module(f"{greeting}.english").GREETING


def test_an_attribute_that_the_object_lacks_is_missing(greeting: str) -> None:
    english = later(greeting, ".english", "GREETING")
    with pytest.raises(AttributeError, match="sing"):
        english.sing()


def test_what_is_known_of_a_dialect_is_so() -> None:
    for operation in OPERATIONS:
        for each in filter(None, (operation.dialect, operation.client, operation.provider)):
            known = dict(vars(each))
            package, module, name = known.pop("_place")
            itself = getattr(import_module(module, package), name)
            assert known["name"] == itself.name
            assert known == {name: getattr(itself, name) for name in known}
