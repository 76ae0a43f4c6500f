"""What prose.py keeps of a manual set as plain text."""

from __future__ import annotations

from crvq.prose import paragraphs

MANUAL = """1.2. A heading of this chapter that is long enough
===========================================

This paragraph is set in lines of equal
length, as manuals\u00a0are, and it ends here.

* This is an item of a list which says a whole sentence.

   $ make all install DESTDIR=/tmp and more words to be long

Too short to keep.
"""


def test_prose() -> None:
    assert paragraphs(MANUAL) == [
        "This paragraph is set in lines of equal length, as manuals are, and it ends here.",
        "This is an item of a list which says a whole sentence.",
    ]
