"""`flask llm-mesh`: the mesh of the application, looked at from a terminal."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import AppGroup

__all__ = ["group"]

group = AppGroup("llm-mesh", help="The LLM mesh of the application.")
