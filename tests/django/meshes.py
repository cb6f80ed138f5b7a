"""A mesh with one provider and a rule for subscribers, which tells in which threads it is used."""

from __future__ import annotations

import threading
from typing import Any

from llm_mesh_middleware import Mesh, MeshSettings
from llm_mesh_middleware._core.routing.table import VirtualHost
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware.testing import FakeUpstream
from tests.resilience.meshes import Entry, Ledger, provider, route

__all__ = ["WatchedMesh", "make_mesh"]

PRO = {"name": "pro", "matches": [{"attributes": {"plan": {"exact": "pro"}}}]}


class WatchedMesh(Mesh):
    """Keeps the threads that ask whose a request is, and those that calls are made in."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.asked: set[int] = set()
        self.called: set[int] = set()
        self.ledger = Ledger()
        super().__init__(*args, observer=self._observe, **options)

    def find(self, host: bytes) -> VirtualHost | None:
        self.asked.add(threading.get_ident())
        return super().find(host)

    def _observe(self, request: ClientRequest) -> Entry:
        self.called.add(threading.get_ident())
        return self.ledger(request)


def make_mesh(upstream: FakeUpstream, **settings: object) -> WatchedMesh:
    """The mesh for `llm` and its provider `upstream`."""
    chat = route({"providerHost": "primary.example"})
    refs = chat.spec.rules[0].backend_refs
    rules = [{**PRO, "backendRefs": refs}, {"name": "rest", "backendRefs": refs}]
    documents = (
        provider("primary", upstream),
        type(chat).model_validate(
            {"metadata": {"name": "chat"}, "spec": {"host": "llm", "rules": rules}}
        ),
    )
    return WatchedMesh(documents, settings=MeshSettings(**settings))  # type: ignore[arg-type]
