"""The live view: a mesh in a browser, while it works.

    app.mount("/mesh", MeshView(mesh, authorize=may_see_it))

Nothing of it is imported unless it is used. `llm-mesh serve --view` has it on a listener of its
own.
"""

from __future__ import annotations

from ._web.gate import LOOPBACK
from .app import MeshView
from .peers import Peers

__all__ = ["LOOPBACK", "MeshView", "Peers"]
