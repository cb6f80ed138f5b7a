"""Take the pictures of the view in the documentation, from a real run: `-m tests.view.picture`.

It starts `llm-mesh demo --view`, lets traffic flow, kills one of the two providers, and takes a
picture of each screen once it is ejected. Needs node, chromium and playwright-core, as the tests of
the page do.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time

from tests.processes import ROOT
from tests.view.browser import Browser, browsing

MESH = ROOT / "docs" / "view.png"
SCREENS = ROOT / "docs" / "view"
WIDTH, HEIGHT = 1280, 690
TRAFFIC_S = 75.0
AFTER_S = 3.0


def main() -> None:
    """Take the pictures."""
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
        time.sleep(AFTER_S)  # rhythms are kept while somebody looks
        demo.stdin.write(b"1")
        demo.stdin.flush()
        browser.wait(".node.is-provider.is-ejected", "probe in", within_s=30)
        time.sleep(AFTER_S)
        browser.do("screenshot", path=str(MESH))
        _calls(browser)
        _explain(browser)
        browser.do("press", key="Escape")
        browser.do("evaluate", code="location.hash = 'config'")
        browser.wait("#policies tr", "hourly")
        browser.do("screenshot", path=str(SCREENS / "configuration.png"))
        demo.stdin.write(b"x")
        demo.stdin.close()


def _calls(browser: Browser) -> None:
    """Open a call that was streamed in its second attempt."""
    browser.do("evaluate", code="location.hash = 'calls'")
    browser.do("evaluate", code="document.querySelector('#calls-kind').value = 'retried'")
    browser.do("fill", selector="#calls-filter", value="assistant")
    browser.wait("#call-table tbody tr", "assistant")
    browser.do("click", selector="#pause")
    for nth in range(browser.do("count", selector="#call-table tbody tr")):
        browser.do("click", selector="#call-table tbody tr", nth=nth)
        if browser.do("count", selector="#call .rhythm"):
            break
    browser.do("screenshot", path=str(SCREENS / "calls.png"))


def _explain(browser: Browser) -> None:
    browser.do("evaluate", code="location.hash = 'explain'")
    browser.do("fill", selector="[name=host]", value="assistant")
    browser.do("fill", selector="[name=headers]", value="user-type: subscriber")
    browser.do("click", selector="#form [type=submit]")
    browser.wait(".rules li.is-selected", "subscribers")
    browser.do("screenshot", path=str(SCREENS / "explain.png"))


if __name__ == "__main__":
    main()
