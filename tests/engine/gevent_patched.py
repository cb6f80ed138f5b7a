"""Calls a provider over TLS in a process that gevent patches after the mesh was made."""

from __future__ import annotations

import json
import sys
import warnings

from llm_mesh_middleware import Mesh, MeshSettings
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest

config, ca_file, endpoints = sys.argv[1:]
mesh = Mesh(config, settings=MeshSettings(ca_file=ca_file, endpoints=json.loads(endpoints)))

from gevent import monkey  # noqa: E402

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # gevent prefers to be first
    monkey.patch_all()

host = mesh.find(b"llm.example")
assert host is not None
fields = Headers([(b"content-type", b"application/json")])
body = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
delivery = mesh.send(host, ClientRequest("POST", "/v1/chat/completions", fields, body))
sys.stdout.write(f"{delivery.reply.status}\n")
delivery.take()
delivery.close()
