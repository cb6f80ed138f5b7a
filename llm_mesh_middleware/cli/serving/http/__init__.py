"""HTTP/1.1 for `llm-mesh serve`, from the socket to the mesh.

connection    parses, limits heads, starts one call after another
  ├─ mesh_call    a request for a virtual host: no scope, no queue, no second task
  └─ app_call     everything else, through the ASGI application
incoming      the body of a request, as far as it has arrived
reply_writer  the bytes of a reply
dates         the fields of every reply
countdown     one timer for the limits of a connection
refusals      replies to requests that cannot be read
upgrades      requests for another protocol, read as requests of this one
"""

from __future__ import annotations

from .connection import SidecarProtocol

__all__ = ["SidecarProtocol"]
