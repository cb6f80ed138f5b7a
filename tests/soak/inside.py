"""What a server under a soak run tells of itself, through files whose path is in `SOAK_FILES`.

PATH.tasks     how many asyncio tasks it has, twice a second
PATH.collect   asks it to collect garbage, and to leave that to the next such wish
PATH.garbage   its reply: how many objects of ours were garbage, by type
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

__all__ = ["collect", "watch"]

_OURS = "llm_mesh_"
_TURN_S, _PATIENCE_S = 0.5, 30.0


def watch() -> None:
    """In the server, before it starts: begin to tell."""
    loops: list[asyncio.AbstractEventLoop] = []
    run = asyncio.Runner.run
    path = Path(os.environ["SOAK_FILES"])

    def noted(runner: asyncio.Runner, main: Coroutine[Any, Any, object], **options: Any) -> object:
        loops.append(runner.get_loop())
        return run(runner, main, **options)

    def tell() -> None:
        wish = path.with_suffix(".collect")
        while True:
            time.sleep(_TURN_S)
            tasks = sum(len(asyncio.all_tasks(loop)) for loop in loops)
            path.with_suffix(".tasks").write_text(str(tasks))
            if wish.exists():
                wish.unlink()
                _replace(path.with_suffix(".garbage"), json.dumps(_collected()))

    asyncio.Runner.run = noted  # type: ignore[assignment,method-assign]
    threading.Thread(target=tell, name="soak", daemon=True).start()


def collect(path: Path) -> dict[str, int]:
    """In the run: have the server collect; return what was garbage since the last time."""
    reply = path.with_suffix(".garbage")
    reply.unlink(missing_ok=True)
    path.with_suffix(".collect").touch()
    deadline = time.monotonic() + _PATIENCE_S
    while not reply.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the server has not written {reply}")
        time.sleep(0.02)
    found: dict[str, int] = json.loads(reply.read_text())
    return found


def _collected() -> dict[str, int]:
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    gc.set_debug(0)
    types = Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.garbage)
    gc.garbage.clear()
    return {name: count for name, count in types.items() if name.startswith(_OURS)}


def _replace(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)
