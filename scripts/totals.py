#!/usr/bin/env python3
"""totals.py RESULTS: adds up what scripts/test left in a directory.

NAME.suite holds the exit code of a test runner, whose tests are in NAME*.xml (JUnit's format); NAME.check holds the
exit code of a part that counts as one test. Prints each failure and each skip with its reason, then the totals alone on
the last line. Exits with 1 if anything failed, or if a runner ran no test.
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Totals:
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def first_line(element: ElementTree.Element) -> str:
    """Why a test failed or was skipped. pytest puts the reason for skipping a whole module into a tuple's text."""
    if module := re.search(r"'Skipped: (.*)'\)$", (element.text or "").strip()):
        return module[1]
    text = (element.get("message") or element.text or "").strip()
    return text.splitlines()[0] if text else "no reason given"


def add_case(totals: Totals, case: ElementTree.Element) -> None:
    name = f"{case.get('classname', '')} {case.get('name', '')}".strip()
    problem = next((found for tag in ("failure", "error") if (found := case.find(tag)) is not None), None)
    skip = case.find("skipped")
    if problem is not None:
        totals.failed.append(f"{name}: {first_line(problem)}")
    elif skip is not None:
        totals.skipped.append(f"{name}: {first_line(skip)}")
    else:
        totals.passed += 1


def add_suite(totals: Totals, suite: Path) -> None:
    """The tests of one runner; a runner that failed without a failed test, or ran none, is itself a failure."""
    code = int(suite.read_text())
    failed_before = len(totals.failed)
    executed_before = totals.passed + failed_before
    for report in sorted(suite.parent.glob(f"{suite.stem}*.xml")):
        try:
            for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 (our own runners wrote it)
                add_case(totals, case)
        except ElementTree.ParseError as error:
            totals.failed.append(f"{suite.stem} tests: the runner's report is broken: {error}")
    if code and len(totals.failed) == failed_before:
        totals.failed.append(f"{suite.stem} tests: the runner exited with {code} and names no failed test")
    if totals.passed + len(totals.failed) == executed_before:
        totals.failed.append(f"{suite.stem} tests: no test was executed")


def main() -> int:
    totals = Totals()
    results = Path(sys.argv[1])
    for check in sorted(results.glob("*.check")):
        code = int(check.read_text())
        if code:
            totals.failed.append(f"{check.stem}: exited with {code}")
        else:
            totals.passed += 1
    for suite in sorted(results.glob("*.suite")):
        add_suite(totals, suite)
    for reason in totals.skipped:
        print(f"skipped: {reason}")
    for reason in totals.failed:
        print(f"failed: {reason}")
    print(f"{totals.passed} passed, {len(totals.failed)} failed, {len(totals.skipped)} skipped")
    return 1 if totals.failed else 0


if __name__ == "__main__":
    sys.exit(main())
