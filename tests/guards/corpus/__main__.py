"""python -m tests.guards.corpus: precision and recall for each entity, as documented."""

from __future__ import annotations

import sys

from tests.guards.corpus.table import lines

sys.stdout.writelines(f"{line}\n" for line in lines())
