"""Words of documents, and of the reference made from code: a list, and what to write instead.

Spelling is codespell's business; this is the style that a reader should not have to decode.
"""

from __future__ import annotations

import re

from tests.rows import rows
from tests.test_docs import DOCUMENTS, GENERATED, ROOT, prose

INSTEAD = {
    "anew": "again",
    "as a rule": "usually",
    "at hand": "available",
    "for want of": "without",
    "goes before": "overrides",
    "is to be had": "is available",
    "let go": "close, release",
    "limits? of time": "timeout",
    "mend(s|ed|ing)?": "fix",
    "one's own": "your own",
    "that is no": "that is not a",
    "utili[sz]e": "use",
    "what is to be": "what",
    "whoever": "anyone who",
}
WORDS = re.compile(rf"\b({'|'.join(INSTEAD)})\b", re.IGNORECASE)
TEXTS = {
    **{str(path.relative_to(ROOT)): prose(path) for path in DOCUMENTS},
    **{path: text for path, text in GENERATED.items() if not path.startswith("project/")},
}
del TEXTS["CONTRIBUTING.md"]  # names the words to avoid


@rows("name", sorted(TEXTS))
def test_a_document_has_the_common_word(name: str) -> None:
    found = WORDS.findall(TEXTS[name])

    assert [word[0] for word in found] == []


@rows(
    ("text", "is_found"),
    [("It is read anew.", True), ("Whoever calls", True), ("A canoe", False), ("renewed", False)],
)
def test_words_are_found_whole(text: str, *, is_found: bool) -> None:
    assert bool(WORDS.search(text)) is is_found
