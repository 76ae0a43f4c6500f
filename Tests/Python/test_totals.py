"""scripts/totals.py: no failure and no empty run passes for a success."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from conftest import ROOT, Run, run

TWO_TESTS = '<testsuites><testsuite><testcase name="a"/><testcase name="b">{}</testcase></testsuite></testsuites>'


def totals(directory: Path, files: dict[str, str]) -> Run[str]:
    for name, content in files.items():
        (directory / name).write_text(content)
    return run(sys.executable, ROOT / "scripts" / "totals.py", directory)


@pytest.mark.parametrize(
    ("files", "last", "code"),
    [
        ({"x.suite": "0", "x.xml": TWO_TESTS.format("")}, "2 passed, 0 failed, 0 skipped", 0),
        ({"x.suite": "0", "x-swift-testing.xml": TWO_TESTS.format("")}, "2 passed, 0 failed, 0 skipped", 0),
        ({"x.suite": "1", "x.xml": TWO_TESTS.format('<failure message="m"/>')}, "1 passed, 1 failed, 0 skipped", 1),
        ({"x.suite": "0", "x.xml": TWO_TESTS.format("<skipped>why</skipped>")}, "1 passed, 0 failed, 1 skipped", 0),
        ({"x.suite": "1", "x.xml": TWO_TESTS.format("")}, "2 passed, 1 failed, 0 skipped", 1),
        ({"x.suite": "0", "x.xml": "<testsuites/>"}, "0 passed, 1 failed, 0 skipped", 1),
        ({"x.suite": "139", "x.xml": "<testsuites>"}, "0 passed, 1 failed, 0 skipped", 1),
        ({"x.suite": "0"}, "0 passed, 1 failed, 0 skipped", 1),
        ({"c.check": "0", "x.suite": "0", "x.xml": TWO_TESTS.format("")}, "3 passed, 0 failed, 0 skipped", 0),
        ({"c.check": "2", "x.suite": "0", "x.xml": TWO_TESTS.format("")}, "2 passed, 1 failed, 0 skipped", 1),
    ],
)
def test_totals(tmp_path: Path, files: dict[str, str], last: str, code: int) -> None:
    done = totals(tmp_path, files)
    assert done.stdout.splitlines()[-1] == last
    assert done.returncode == code


def test_skips_and_failures_are_named(tmp_path: Path) -> None:
    case = '<testcase classname="Suite" name="{}">{}</testcase>'
    cases = case.format("one", "<skipped>no data here</skipped>") + case.format(
        "two", '<failure message="1 is not 2"/>'
    )
    done = totals(tmp_path, {"x.suite": "1", "x.xml": f"<testsuites><testsuite>{cases}</testsuite></testsuites>"})
    assert done.stdout.splitlines() == [
        "skipped: Suite one: no data here",
        "failed: Suite two: 1 is not 2",
        "0 passed, 1 failed, 1 skipped",
    ]


def test_the_reason_for_skipping_a_module_is_told(tmp_path: Path) -> None:
    skip = "<skipped message=\"collection skipped\">('/a/test_b.py', 16, 'Skipped: no torch here')</skipped>"
    done = totals(tmp_path, {"x.suite": "0", "x.xml": TWO_TESTS.format(skip)})
    assert done.stdout.splitlines()[0] == "skipped: b: no torch here"
