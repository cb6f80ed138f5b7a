"""What configuration is made of: the models below `spec`, checks of values, wording of faults."""

from __future__ import annotations
