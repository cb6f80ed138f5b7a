"""The commands that read a view."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import click
import msgspec
from rich.live import Live

from ...view._feeding.feed import apply
from ...view.values import Call, Diff, Snapshot
from ..console import make_console
from .reading import ViewReader
from .tables import call_line, view_of

__all__ = ["Wanted", "show_status", "show_tail", "show_top"]


class Wanted(msgspec.Struct, frozen=True):
    """The calls that `tail` prints; None for any."""

    host: str | None = None
    rule: str | None = None
    status: str | None = None
    consumer: str | None = None

    def takes(self, call: Call) -> bool:
        """Return whether a call is wanted; a status of `5` or `5xx` matches 500 to 599."""
        wanted = (self.status or "").lower().rstrip("x")
        return (
            self.host in (None, call.host)
            and self.rule in (None, call.rule)
            and self.consumer in (None, call.consumer)
            and str(call.status or "").startswith(wanted)
        )


def show_status(reader: ViewReader, *, as_json: bool) -> int:
    """Print the state of a mesh; return 1 if it is stale or a provider is out of service."""
    snapshot = reader.snapshot()
    if as_json:
        _print_json(msgspec.structs.replace(snapshot, calls=[], seconds=[]))
    else:
        make_console().print(view_of(snapshot), soft_wrap=False)
    is_out = any(each.state in ("ejected", "rate_limited") for each in snapshot.providers.values())
    return 1 if is_out or snapshot.config.state != "ok" else 0


def show_top(reader: ViewReader, *, as_json: bool) -> int:
    """Show the state of a mesh until Ctrl+C; as JSON, one snapshot a line."""
    with contextlib.suppress(KeyboardInterrupt):
        _follow_top(reader, as_json=as_json)
    return 0


def show_tail(reader: ViewReader, wanted: Wanted, *, lines: int, as_json: bool) -> int:
    """Print the last calls and those that follow, until Ctrl+C; as JSON, one a line."""
    console = make_console()

    def show(call: Call) -> None:
        if as_json:
            _print_json(call)
        else:
            console.print(call_line(call))

    with contextlib.suppress(KeyboardInterrupt):
        _follow_calls(reader, wanted, lines, show)
    return 0


def _follow_top(reader: ViewReader, *, as_json: bool) -> None:
    if as_json:
        for snapshot in _snapshots(reader):
            _print_json(msgspec.structs.replace(snapshot, calls=[], seconds=snapshot.seconds[-1:]))
        return
    console = make_console()
    with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
        for snapshot in _snapshots(reader):
            lines = console.height if console.is_terminal else None
            live.update(view_of(snapshot, lines=lines), refresh=True)


def _follow_calls(
    reader: ViewReader, wanted: Wanted, lines: int, show: Callable[[Call], None]
) -> None:
    last = ""
    for event in reader.events():
        calls = [call for call in event.calls if wanted.takes(call)]
        if isinstance(event, Snapshot):
            ids = [call.id for call in calls]
            # After a reconnection, skip the calls that were printed already.
            calls = (
                calls[ids.index(last) + 1 :] if last in ids else calls[max(len(calls) - lines, 0) :]
            )
        for call in calls:
            show(call)
            last = call.id
        if isinstance(event, Diff) and event.skipped:
            click.echo(f"... and {event.skipped} more in this second", err=True)


def _snapshots(reader: ViewReader) -> Iterator[Snapshot]:
    snapshot: Snapshot | None = None
    for event in reader.events():
        if isinstance(event, Snapshot):
            snapshot = event
        elif snapshot is not None:
            snapshot = apply(snapshot, event)
        if snapshot is not None:
            yield snapshot


def _print_json(value: Any) -> None:
    click.echo(msgspec.json.encode(value).decode())
