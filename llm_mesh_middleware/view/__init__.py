"""The live view: a mesh in a browser, while it works.

    app.mount("/mesh", MeshView(mesh, authorize=may_see_it))

It is imported only when it is used. `llm-mesh serve --view` serves it on its own listener.
"""

from __future__ import annotations

from ._web.gate import LOOPBACK
from .app import MeshView
from .peers import Peers

__all__ = ["LOOPBACK", "MeshView", "Peers"]
