"""A type in a public signature can be imported from a public module."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

from llm_mesh_middleware import exceptions, observing
from tests.signatures import DISTRIBUTION, exports, leaks, public_modules

MODULES = public_modules()
EXPORTED = exports(MODULES)

# What is still to be exported or taken out of a signature; nothing is added here.
STEPS = {"Ask", "Await", "Race", "Read", "Send", "Sleep", "Spawn", "Watch"}
MESH = {"CancelScope", "Entrance", "Policy", "RoutingTable", "ServedOperation", *STEPS}
KNOWN = {
    "llm_mesh_middleware": MESH,
    "llm_mesh_middleware.asgi.responder": {"Interrupt"},
    "llm_mesh_middleware.cli.commands.probing": {"TLSContexts", "Upstream"},
    "llm_mesh_middleware.cli.console": {"Section"},
    "llm_mesh_middleware.inbound": {"AsyncBodyDriver", "BodyDriver", "ServedOperation", *STEPS},
    "llm_mesh_middleware.mesh": MESH,
    "llm_mesh_middleware.outbound": {"AsyncBodyDriver", "BodyDriver", "RouteRule", *MESH},
    "llm_mesh_middleware.sources": {"Mapping", "Remnant", "Scalar", "Sequence"},
}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_no_public_signature_names_a_private_type(module: ModuleType) -> None:
    known = KNOWN.get(module.__name__, set())
    found = {where: types - known for where, types in leaks(module, EXPORTED).items()}
    assert {where: types for where, types in found.items() if types} == {}


def test_the_list_of_known_private_types_names_public_modules_only() -> None:
    assert set(KNOWN) <= {module.__name__ for module in MODULES}


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
