"""Versions of files, to detect changes.

Contents are compared, not dates: a second write within one tick of the file system's clock is
detected, and a mere touch is ignored.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Iterable
from typing import TypeAlias

__all__ = ["FileVersion", "FileVersions", "read_bounded", "version_of"]

# A digest of the content, or the reason why there is none, or None if it is not a regular file.
FileVersion: TypeAlias = bytes | str | None

_Status: TypeAlias = tuple[int, ...]

# Some file systems store dates in steps of two seconds: a file may change within a step without a
# change of its status.
_STEP_NS = 2_000_000_000


def read_bounded(path: str, max_bytes: int) -> bytes:
    """Return the content of the file at `path`.

    Raises:
        OSError: it cannot be read, or holds more than `max_bytes`, as a device does.
        ValueError: the path contains a NUL.
    """
    with open(path, "rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise OSError(errno.EFBIG, f"it is longer than {max_bytes:,} bytes", path)
    return data


def version_of(path: str) -> FileVersion:
    """Return the version of the file at `path`. Never raises."""
    return _look(path, None)[1]


class FileVersions:
    """Versions of files that are checked repeatedly.

    A file is read only if its status has changed since the last check, or so recently that another
    change might not show in it.
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[_Status | None, FileVersion]] = {}

    def of(self, paths: Iterable[str]) -> tuple[tuple[str, FileVersion], ...]:
        """Return each path with its version; other paths are dropped."""
        seen = {path: _look(path, self._seen.get(path)) for path in paths}
        self._seen = seen
        return tuple((path, version) for path, (_, version) in seen.items())


def _look(
    path: str, last: tuple[_Status | None, FileVersion] | None
) -> tuple[_Status | None, FileVersion]:
    """Return the status of a file, None if it is not reliable, and its version."""
    try:
        found = os.stat(path)  # of the target of symlinks
        if not stat.S_ISREG(found.st_mode):
            return None, None  # reading from a pipe would consume it
        status = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if last is not None and last[0] == status:
            return last
        changed_at = max(found.st_mtime_ns, found.st_ctime_ns)
        is_settled = time.time_ns() - changed_at > _STEP_NS
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, hashlib.sha256).digest()
    except OSError as exc:
        return None, exc.strerror or type(exc).__name__
    except ValueError as exc:  # NUL in the path
        return None, str(exc)
    return status if is_settled else None, digest
