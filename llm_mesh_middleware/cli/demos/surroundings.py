"""The surroundings of a demonstration: no settings in the environment, and a CA with a file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...testing import CertificateAuthority

__all__ = ["demo_authority"]


@contextmanager
def demo_authority() -> Iterator[tuple[CertificateAuthority, str]]:
    """Yield a certificate authority and the file of its certificate.

    The shell's own settings are removed: they must not change the demonstration.
    """
    for name in [name for name in os.environ if name.startswith("LLM_MESH_")]:
        del os.environ[name]
    with tempfile.TemporaryDirectory() as folder:
        ca, file = CertificateAuthority(), Path(folder, "ca.pem")
        ca.write(file)
        yield ca, str(file)
