"""A type in a public signature can be imported from a public module."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import ModuleType

import pytest

import llm_mesh_middleware
from llm_mesh_middleware import exceptions, observing
from tests.processes import ROOT
from tests.rows import rows
from tests.signatures import DISTRIBUTION, exports, leaks, public_modules

# The command is used as a command; its modules are no interface.
MODULES = [m for m in public_modules() if not m.__name__.startswith("llm_mesh_middleware.cli")]
EXPORTED = exports(MODULES)

# Handles: the mesh makes them, an adapter passes them on. Their constructors, and what is not named
# here, are the mesh's own.
HANDLES = {
    "Addressed": {"host", "hosts", "authority", "path", "refusal"},
    "AsyncDelivery": {"reply", "read", "take", "end", "aclose"},
    "Delivery": {"reply", "take", "close"},
    "Manifest": {"resources", "problems", "broken_hosts", "secrets", "ignored_kinds", "may_be_cut"},
    "Reply": {"status", "headers", "is_stream"},
    "Resource": {"model", "namespace", "name", "source", "problem", "has_literal"},
    "VirtualHost": {"name", "route"},
}


@rows("module", MODULES, ids=lambda module: module.__name__)
def test_no_public_signature_names_a_private_type(module: ModuleType) -> None:
    assert leaks(module, EXPORTED, HANDLES) == {}


def test_handles_are_public_classes() -> None:
    names = {name.rpartition(".")[2] for name in EXPORTED.values()}
    assert set(HANDLES) <= names


def test_every_package_of_the_distribution_is_looked_at() -> None:
    assert {module.__name__.partition(".")[0] for module in MODULES} == set(DISTRIBUTION)


class _Private:
    """Exported by no module."""


def _returns() -> _Private | None: ...


def _takes(values: dict[str, list[_Private]]) -> None: ...


def _calls(back: Callable[[_Private], None]) -> None: ...


class _Public:
    member: _Private

    @property
    def given(self) -> _Private: ...

    def taken(self, value: _Private = ...) -> None: ...


def _harmless(values: dict[str, int], back: Callable[[ModuleType], None]) -> _Public: ...


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (_returns, {"value"}),
        (_takes, {"value"}),
        (_calls, {"value"}),
        (_Public, {"value", "value.given", "value.taken"}),
        (list[_Private], {"value"}),
        (_harmless, set()),
    ],
    ids=["result", "nested", "callback", "class", "alias", "none"],
)
def test_a_private_type_is_found_wherever_a_signature_may_hold_it(
    value: object, where: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.signatures.DISTRIBUTION", ("tests", __name__.partition(".")[0]))
    module = ModuleType(__name__)
    module.value, module.__all__ = value, ["value"]  # type: ignore[attr-defined]
    assert set(leaks(module, {id(_Public): "public"})) == where


def test_an_observer_is_given_public_values_only() -> None:
    hooks = [name for name in vars(observing.Observation) if not name.startswith("_")]
    assert len(hooks) >= 8
    assert not set(leaks(observing, EXPORTED)) & {f"Observation.{hook}" for hook in hooks}


def test_the_base_of_errors_with_an_answer_is_public() -> None:
    assert "AnswerableError" in exceptions.__all__
    assert issubclass(exceptions.RequestError, exceptions.AnswerableError)
    assert issubclass(exceptions.UpstreamError, exceptions.AnswerableError)


def test_the_api_page_describes_every_name_of_the_package() -> None:
    page = (ROOT / "docs" / "reference" / "api.md").read_text()
    described = set(re.findall(r"^::: ([\w.]+)$", page, re.MULTILINE))
    described |= {f"llm_mesh_middleware.{name}" for name in re.findall(r"`(LLM\w+)`", page)}
    described |= {f"llm_mesh_middleware.{name}" for name in exceptions.__all__}
    names = {f"llm_mesh_middleware.{name}" for name in llm_mesh_middleware.__all__}
    assert names - described == {"llm_mesh_middleware.__version__"}
    assert "llm_mesh_middleware.exceptions" in described
