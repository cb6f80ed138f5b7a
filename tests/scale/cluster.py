"""A Redis or Valkey Cluster of three nodes on this machine."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from typing import Self

from tests.policies.servers import Server

__all__ = ["Cluster"]

_SLOTS = 16384


class Cluster:
    """Three nodes that share the slots; they are ended when the block is left."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.nodes = [self._start(stack) for _ in range(3)]
            self._join()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        """What `LLM_MESH_STORE` is set to."""
        return f"redis+cluster://127.0.0.1:{self.nodes[0].port}"

    def settled(self) -> list[int]:
        """How many scripts each node has run when nothing more is under way."""
        counts = [self._scripts()]
        while len(counts) < 4 or counts[-4:] != [counts[-1]] * 4:
            time.sleep(0.05)  # longer than a process collects changes
            counts.append(self._scripts())
        return counts[-1]

    def _scripts(self) -> list[int]:
        found = []
        for node in self.nodes:
            stats = node.client.info("commandstats")
            found.append(sum(stats.get(f"cmdstat_{n}", {}).get("calls", 0) for n in _SCRIPTS))
        return found

    def _start(self, stack: ExitStack) -> Server:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        node = Server("--cluster-enabled", "yes", "--dir", folder)
        stack.callback(node.stop)
        return node

    def _join(self) -> None:
        share = _SLOTS // len(self.nodes) + 1
        for number, node in enumerate(self.nodes):
            slots = range(number * share, min((number + 1) * share, _SLOTS))
            node.client.execute_command("CLUSTER ADDSLOTS", *slots)
        for number, node in enumerate(self.nodes, 1):
            node.client.execute_command("CLUSTER SET-CONFIG-EPOCH", number)
        for node in self.nodes:
            for other in self.nodes:
                if other is not node:
                    node.client.execute_command("CLUSTER MEET", "127.0.0.1", other.port)
        deadline = time.monotonic() + 60
        while not all(self._is_whole(node) for node in self.nodes):
            assert time.monotonic() < deadline, "the nodes do not find each other"
            time.sleep(0.02)

    def _is_whole(self, node: Server) -> bool:
        told = node.client.execute_command("CLUSTER INFO")
        return told["cluster_state"] == "ok" and told["cluster_known_nodes"] == str(len(self.nodes))


_SCRIPTS = ("eval", "evalsha", "fcall")
