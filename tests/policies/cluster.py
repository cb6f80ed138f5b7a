"""A real cluster of three nodes for tests, without replicas."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from tests.policies.servers import Server
from tests.processes import free_port

_SLOTS = 16_384
_NODES = 3
_SCRIPTS = ("eval", "evalsha", "fcall")


class Cluster:
    """Three servers that share the slots between them."""

    def __init__(self, folder: Path) -> None:
        self._stack = ExitStack()
        self.nodes: list[Server] = []
        self._buses: list[int] = []
        for number in range(_NODES):
            bus = free_port()
            file = folder / f"node-{number}.conf"
            options = ("--cluster-enabled", "yes", "--cluster-port", str(bus))
            node = Server(*options, "--cluster-config-file", str(file), "--dir", str(folder))
            self._stack.callback(node.stop)
            self.nodes.append(node)
            self._buses.append(bus)
        self._join()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        """What `LLM_MESH_STORE` names; one node tells of the others."""
        return f"redis+cluster://127.0.0.1:{self.nodes[0].port}"

    def keys(self, pattern: str) -> list[bytes]:
        """Return the keys of all nodes."""
        return [key for node in self.nodes for key in node.client.keys(pattern)]

    def node_of(self, key: str) -> Server:
        """Return the node that has a key's slot."""
        slot = self.nodes[0].client.execute_command("CLUSTER", "KEYSLOT", key)
        return self.nodes[min(slot * _NODES // _SLOTS, _NODES - 1)]

    def settled(self) -> list[int]:
        """Return how many scripts each node has run, when nothing more is under way."""
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

    def _join(self) -> None:
        for number, node in enumerate(self.nodes):
            first, end = (-(-_SLOTS * each // _NODES) for each in (number, number + 1))
            node.client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
        for node, bus in zip(self.nodes[1:], self._buses[1:], strict=True):
            meet = ("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
            self.nodes[0].client.execute_command(*meet)
        deadline = time.monotonic() + 30
        while not all(map(_is_whole, self.nodes)):
            assert time.monotonic() < deadline, "the cluster does not come together"
            time.sleep(0.02)


def _is_whole(node: Server) -> bool:
    told = node.client.execute_command("CLUSTER", "INFO")
    facts = dict(told) if isinstance(told, dict) else _parsed(told)
    return facts.get("cluster_state") == "ok" and facts.get("cluster_known_nodes") == str(_NODES)


def _parsed(text: bytes | str) -> dict[str, str]:
    lines = (text.decode() if isinstance(text, bytes) else text).splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)
