"""Sends scripts from a thread, all that are given together in one round trip.

    a server     one call, or a pipeline
    a cluster    a pipeline for each node, all of them sent before the first answer is read

If a server does not know the script, its text is sent. A call that is refused for that reason had
no effect, so it can be repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from redis.exceptions import AskError, MovedError, NoScriptError, ResponseError, TryAgainError

from .connecting import Address
from .scripts import Arguments, Script

__all__ = ["MOVED", "ClusterLines", "Lines", "first_error"]

MOVED = (AskError, MovedError, TryAgainError)


class Lines:
    """The connections of threads to one server."""

    def __init__(self, address: Address) -> None:
        self._client = address.client()

    def run(self, script: Script, calls: Sequence[Arguments]) -> list[Any]:
        """Return the script's answer to each call.

        Raises:
            RedisError: the first error among the answers.
        """
        answers = self._send("EVALSHA", script.digest, calls)
        lost = [index for index, each in enumerate(answers) if isinstance(each, NoScriptError)]
        if lost:
            again = self._send("EVAL", script.text, [calls[index] for index in lost])
            for index, answer in zip(lost, again, strict=True):
                answers[index] = answer
        if (error := first_error(answers)) is not None:
            raise error
        return answers

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _send(self, command: str, script: str, calls: Sequence[Arguments]) -> list[Any]:
        """Write and read on a connection: the commands of the library take a quarter longer."""
        pool = self._client.connection_pool
        connection = pool.get_connection()
        try:
            commands = [(command, script, *call) for call in calls]
            connection.send_packed_command(connection.pack_commands(commands))
            return [_read(connection) for _ in calls]
        except BaseException:
            connection.disconnect()
            raise
        finally:
            pool.release(connection)


class ClusterLines(Lines):
    """The connections of threads to the nodes of a cluster; each call has the keys of one slot.

    `is_outdated`: a node did not answer, so the list of nodes must be read again.
    """

    is_outdated = False

    def nodes_of(self, calls: Sequence[Arguments]) -> dict[Any, list[int]]:
        """Return the indexes of the calls for each node, by their keys."""
        if self.is_outdated:
            self._client.nodes_manager.initialize()
            self.is_outdated = False
        found: dict[Any, list[int]] = {}
        for index, call in enumerate(calls):
            found.setdefault(self._client.get_node_from_key(call[1]), []).append(index)
        return found

    def resend(
        self, command: str, script: str, calls: Sequence[Arguments], answers: list[Any]
    ) -> None:
        """Send calls again whose key has moved to another node."""
        for index, answer in enumerate(answers):
            if isinstance(answer, MOVED):
                answers[index] = super()._send(command, script, [calls[index]])[0]

    def _send(self, command: str, script: str, calls: Sequence[Arguments]) -> list[Any]:
        by_node = self.nodes_of(calls)
        answers: list[Any] = [None] * len(calls)
        self.is_outdated = True  # until all have answered
        with ExitStack() as stack:
            sent = []
            for node, indexes in by_node.items():
                pool = self._client.get_redis_connection(node).connection_pool
                connection = pool.get_connection()
                stack.callback(pool.release, connection)
                stack.push(lambda kind, *_, line=connection: line.disconnect() if kind else None)
                commands = [(command, script, *calls[index]) for index in indexes]
                connection.send_packed_command(connection.pack_commands(commands))
                sent.append((connection, indexes))
            for connection, indexes in sent:
                for index in indexes:
                    answers[index] = _read(connection)
        self.is_outdated = False
        self.resend(command, script, calls, answers)
        return answers


def _read(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


def first_error(answers: Sequence[Any]) -> Exception | None:
    """Return the first error among the answers, or None."""
    return next((each for each in answers if isinstance(each, Exception)), None)
