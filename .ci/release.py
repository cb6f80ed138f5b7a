"""Make a release of what the changelog calls unreleased: version, date, commit, tag.

    python .ci/release.py            on a clean tree, after `.ci/run` has passed
    python .ci/release.py --next 0.3.0

The version is the one in the heading `## 0.2.0 - unreleased`. It is written wherever it is stated,
the heading gets today's date, and the section becomes the message of the tag. Nothing is pushed or
uploaded. `--next` begins the section of the version that follows.
"""

from __future__ import annotations

import argparse
import datetime
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UNRELEASED = re.compile(r"^## (\d+\.\d+\.\d+) - unreleased$", re.MULTILINE)
ENTRY = re.compile(r"^- \S", re.MULTILINE)
# Where a version is stated, as a pattern whose group is the version.
STATED = {
    "llm_mesh_middleware/__init__.py": r'^__version__ = "(.*)"$',
    "deploy/helm/llm-mesh/Chart.yaml": r'^(?:version: |appVersion: ")([\d.]+)"?$',
    "deploy/kustomize/deployment.yaml": r"^ *image: llm-mesh:(.*)$",
}


class Refused(Exception):
    """Why no release can be made."""


def main() -> int:
    """Make the release; 1 if there is a reason not to."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--next", metavar="VERSION", help="begin this version's section")
    options = parser.parse_args()
    try:
        if options.next:
            begin(options.next)
        else:
            print(f"made {release()}; look at it, then push the commit and the tag")
    except Refused as exc:
        print(f"no release: {exc}", file=sys.stderr)
        return 1
    return 0


def release() -> str:
    """Write the version and the date, commit and tag; return the tag."""
    if git("status", "--porcelain"):
        raise Refused("the tree has changes; commit them first")
    version, section = unreleased()
    tag = f"v{version}"
    if git("tag", "--list", tag):
        raise Refused(f"{tag} exists already; the changelog must name the next version")
    for name, pattern in STATED.items():
        rewrite(ROOT / name, pattern, version)
    today = datetime.datetime.now(datetime.UTC).date()
    changelog = ROOT / "CHANGELOG.md"
    changelog.write_text(
        UNRELEASED.sub(rf"## \1 - {today}", changelog.read_text("utf-8"), count=1), "utf-8"
    )
    git("commit", "--all", "--message", f"Release {version}")
    git("tag", "--annotate", tag, "--cleanup=verbatim", "--message", f"{version}\n\n{section}")
    return tag


def begin(version: str) -> None:
    """Begin a section of the changelog."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise Refused(f"{version} is no version")
    path = ROOT / "CHANGELOG.md"
    text = path.read_text("utf-8")
    if UNRELEASED.search(text):
        raise Refused("the changelog has an unreleased section already")
    path.write_text(text.replace("\n## ", f"\n## {version} - unreleased\n\n## ", 1), "utf-8")


def unreleased() -> tuple[str, str]:
    """Return the version and the text of the unreleased section."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    headings = list(UNRELEASED.finditer(text))
    if len(headings) != 1:
        raise Refused(f"the changelog has {len(headings)} unreleased sections; it needs one")
    section = text[headings[0].end() :].partition("\n## ")[0].strip()
    if not ENTRY.search(section):
        raise Refused("the unreleased section is empty")
    return headings[0][1], section


def rewrite(path: Path, pattern: str, version: str) -> None:
    """Write the version wherever the file states one."""
    expression = re.compile(pattern, re.MULTILINE)
    text = path.read_text("utf-8")
    if not expression.search(text):
        raise Refused(f"{path.relative_to(ROOT)} states no version")
    stated = expression.sub(lambda match: match[0].replace(match[1], version), text)
    path.write_text(stated, "utf-8")


def git(*arguments: str) -> str:
    """Run git in the tree and return what it prints."""
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise Refused(done.stderr.strip())
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
