"""`python -m llm_mesh_middleware.cli`, if the command is not on the path."""

from __future__ import annotations

from . import main

main(prog_name="llm-mesh")
