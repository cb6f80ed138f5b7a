"""An Envoy bootstrap that does what a mesh does, for the fields that ASM has itself.

    manifests --_compile--> RoutingTable --routes--> virtual hosts with weighted clusters
                                         --clusters--> where to connect, TLS
              --gaps-----> what Envoy would not do

The body of a request is changed by `filter.lua`; the backend that Envoy has drawn is its context.
"""

from __future__ import annotations

from .bootstrap import Exported, export
from .variables import MarkedEnvironment

__all__ = ["Exported", "MarkedEnvironment", "export"]
