"""Take the picture of the view in the README from a real run: `python -m tests.view.picture`.

It starts `llm-mesh demo --view`, lets traffic flow, kills one of the two providers, and takes a
picture of the page once it is ejected. Needs node, chromium and playwright-core, as the tests of
the page do.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time

from tests.processes import ROOT
from tests.view.browser import browsing

PICTURE = ROOT / "docs" / "view.png"
WIDTH, HEIGHT = 1280, 690
TRAFFIC_S = 75.0
AFTER_S = 3.0


def main() -> None:
    """Take the picture."""
    command = (sys.executable, "-u", "-m", "llm_mesh_middleware.cli", "demo", "--view")
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (
        browsing() as browser,
        subprocess.Popen(
            [*command, "--port", "0"], env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as demo,
    ):
        assert demo.stdin is not None
        assert demo.stdout is not None
        found = re.search(rb"http://[\d.:]+", demo.stdout.readline())
        assert found is not None
        url = found[0].decode()
        time.sleep(TRAFFIC_S)
        browser.do("open", url=f"{url}/", width=WIDTH, height=HEIGHT)
        demo.stdin.write(b"1")
        demo.stdin.flush()
        browser.wait(".node.is-provider.is-ejected", "probe in", within_s=30)
        time.sleep(AFTER_S)
        browser.do("screenshot", path=str(PICTURE))
        demo.stdin.write(b"x")
        demo.stdin.close()


if __name__ == "__main__":
    main()
