"""Take the pictures of the view in the documentation, from a real run: `-m tests.view.picture`.

It starts `llm-mesh demo --view`, lets traffic flow, kills one of the two providers, and takes a
picture of each screen once it is ejected. With a folder as its argument it takes each screen there
in both widths and both colour schemes, whole, to be looked at before a release. Needs node,
chromium and playwright-core, as the tests of the page do.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.processes import ROOT
from tests.view.browser import Browser, browsing

MESH = ROOT / "docs" / "view.png"
SCREENS = ROOT / "docs" / "view"
WIDTH, HEIGHT = 1280, 690
TRAFFIC_S = 75.0
AFTER_S = 3.0
SIZES = ((1280, 690), (400, 800))
SCHEMES = ("light", "dark")


def main() -> None:
    """Take the pictures."""
    looked_at = Path(sys.argv[1]) if len(sys.argv) > 1 else None
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
        if looked_at is None:
            _documented(browser)
        else:
            _all(browser, f"{url}/", looked_at)
        demo.stdin.write(b"x")
        demo.stdin.close()


def _documented(browser: Browser) -> None:
    browser.do("screenshot", path=str(MESH))
    for name, show in SHOWN.items():
        show(browser)
        browser.do("screenshot", path=str(SCREENS / f"{name}.png"))


def _all(browser: Browser, url: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for (width, height), scheme in itertools.product(SIZES, SCHEMES):
        browser.do("open", url=url, width=width, height=height, scheme=scheme)
        browser.wait(".node.is-provider", "")
        time.sleep(AFTER_S)
        browser.do("screenshot", path=str(folder / f"mesh-{width}-{scheme}.png"), whole=True)
        for name, show in SHOWN.items():
            show(browser)
            path = folder / f"{name}-{width}-{scheme}.png"
            browser.do("screenshot", path=str(path), whole=True)


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


def _explain(browser: Browser) -> None:
    browser.do("evaluate", code="location.hash = 'explain'")
    browser.do("fill", selector="[name=host]", value="assistant")
    browser.do("fill", selector="[name=headers]", value="user-type: subscriber")
    browser.do("click", selector="#form [type=submit]")
    browser.wait(".rules li.is-selected", "subscribers")


def _configuration(browser: Browser) -> None:
    browser.do("press", key="Escape")
    browser.do("evaluate", code="location.hash = 'config'")
    browser.wait("#policies tr", "hourly")


SHOWN = {"calls": _calls, "explain": _explain, "configuration": _configuration}


if __name__ == "__main__":
    main()
