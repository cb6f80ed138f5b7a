"""An Envoy bootstrap that does the same as the mesh, for ASM's own fields.

    manifests --_compile--> RoutingTable --routes--> virtual hosts with weighted clusters
                                         --clusters--> where to connect, TLS
              --gaps-----> fields that cannot be exported

`filter.lua` changes the body of a request; its context has the backend that Envoy has drawn.
"""

from __future__ import annotations

from .bootstrap import Exported, export
from .variables import MarkedEnvironment

__all__ = ["Exported", "MarkedEnvironment", "export"]
