"""Keys that sing: whoever finds eight characters of one where no key belongs fails the test.

Every key that the tests give away is a `canary`. What a test prints and logs is searched when it
ends, its own processes' output and what clients were answered when they hand it to `watched`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import TypeVar
from weakref import WeakSet, ref

import pytest

from llm_mesh_middleware._process import forks
from llm_mesh_middleware.mesh import Mesh

__all__ = ["canary", "leaks", "pytest_runtest_makereport", "watched"]

PIECE = 8
# It is at every fourth place of a secret, so any eight characters in a row hold it. A text that has
# it nowhere, as nearly all that are searched, is done with at once.
_MARK = "Zq"

_PREFIX = "sk-canary-"
_secrets: dict[str, str] = {}
_found: list[str] = []
_made: list[ref[Mesh]] = []

Text = TypeVar("Text", str, bytes)


class _Owners(WeakSet[forks.Owner]):
    """Those of the package; the meshes that were made since the last test are told apart."""

    def add(self, owner: forks.Owner) -> None:
        super().add(owner)
        if isinstance(owner, Mesh):
            _made.append(ref(owner))


forks._owners = _Owners(forks._owners)


def canary(name: str) -> str:
    """The key of that name: the same in every process, and no word of it is found by chance."""
    digest = base64.b64encode(hashlib.sha256(name.encode()).digest(), b"Kw").decode()
    _secrets[name] = "".join(_MARK + digest[at : at + 2] for at in range(0, 10, 2))
    return _PREFIX + _secrets[name]


def leaks(text: str | bytes) -> set[str]:
    """The names of the canaries of which `text` holds a piece."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    if _MARK not in text:
        return set()
    return {n for n, secret in _secrets.items() if any(piece in text for piece in _pieces(secret))}


def watched(where: str, text: Text) -> Text:
    """`text`, which is no place for a key; the running test fails if one is there."""
    _found.extend(f"a piece of the key {name!r} is in {where}" for name in sorted(leaks(text)))
    return text


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Fail a test in whose output, or in whose meshes as they are shown, there is a key."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]  # a pluggy result
    if call.when != "teardown":
        return
    for where, text in report.sections:
        watched(where, text)
    meshes = [mesh for made in _made if (mesh := made()) is not None]
    _made.clear()
    for mesh in meshes:
        watched("the repr of a mesh", repr((mesh.settings, mesh._live.table, mesh._live.status)))
    if _found:
        report.outcome = "failed"
        report.longrepr = "\n".join(dict.fromkeys(_found))
        _found.clear()


def _pieces(secret: str) -> Iterator[str]:
    return (secret[at : at + PIECE] for at in range(len(secret) - PIECE + 1))
