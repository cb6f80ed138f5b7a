"""A thousand reloads in a minute, under load: `python -m tests.reload [reloads] [seconds]`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.reload.load import Figures, reload_under_load


def main(reloads: int = 1000, seconds: int = 60) -> int:
    """Print figures as it goes on; 1 if anything failed."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "mesh.yaml"
        # A third of the time goes into the reloads themselves.
        pause_s = seconds / reloads * 2 / 3
        figures = reload_under_load(file, reloads, pause_s=pause_s, told=_tell)
    _say(f"{figures.seconds:.0f} s, slowest answer {figures.slowest_ms:.0f} ms")
    for text in (*figures.failed[:10], *figures.mixed[:10]):
        _say(text)
    return 1 if figures.failed or figures.mixed else 0


def _tell(figures: Figures) -> None:
    size = f"{figures.descriptors[-1]} descriptors, {figures.resident_mib[-1]:.1f} MiB"
    _say(
        f"{figures.reloads} reloads, {figures.requests} requests ({figures.streams} streams), "
        f"{len(figures.failed)} failed, {len(figures.mixed)} mixed, {size}"
    )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
