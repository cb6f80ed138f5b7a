"""An observer that waits for what came of copies."""

from __future__ import annotations

import asyncio
import threading

from llm_mesh_middleware.observing import ClientRequest, MirrorOutcome, Observation

__all__ = ["Outcomes"]


class Outcomes(Observation):
    def __init__(self) -> None:
        self._outcomes: list[MirrorOutcome] = []
        self._changed = threading.Condition()

    def __call__(self, request: ClientRequest) -> Observation:
        return self

    def mirrored(self, outcome: MirrorOutcome) -> None:
        with self._changed:
            self._outcomes.append(outcome)
            self._changed.notify_all()

    def wait(self, count: int = 1) -> list[MirrorOutcome]:
        """Return the outcomes once there are so many."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._outcomes) >= count, 10)
            return list(self._outcomes)

    async def results(self, count: int = 1) -> list[str]:
        return [each.result for each in await asyncio.to_thread(self.wait, count)]
