"""Takes the prose out of documentation that is set as plain text: one line a paragraph, no tables, code or headings.

prose.py FILE…    (plain text, also .gz; prose to standard output)
"""

from __future__ import annotations

import gzip
import re
import sys
import zlib
from pathlib import Path

from crvq.errors import InputError, run

WORDS_MIN = 8
SENTENCE_END = re.compile(r'[.!?:][)”’"\']*$')
LIST_MARK = re.compile(r"^(?:[*•-]|\(?\w{1,2}[.)])\s+")


def paragraphs(text: str) -> list[str]:
    """The paragraphs that read as sentences, each unwrapped into a line."""
    result = []
    for block in re.split(r"\n\s*\n", text.replace("\u00a0", " ").expandtabs()):
        line = LIST_MARK.sub("", " ".join(block.split()))
        if len(line.split()) >= WORDS_MIN and SENTENCE_END.search(line) and line[0].isalpha():
            result.append(line)
    return result


def main() -> None:
    for name in sys.argv[1:]:
        data = Path(name).read_bytes()
        try:
            text = (gzip.decompress(data) if name.endswith(".gz") else data).decode("utf-8")
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise InputError(f"{name}: not a whole gzip file: {error}") from error
        except UnicodeDecodeError as error:
            raise InputError(f"{name}: not UTF-8 text: {error}") from error
        for paragraph in paragraphs(text):
            print(paragraph)


if __name__ == "__main__":
    sys.exit(run("prose", main))
