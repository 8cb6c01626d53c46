"""The benchmarks run, and their calculations are right; how fast is not a test's business."""

import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.long
def test_benchmarks_run_and_all_reach_the_same_answer(tmp_path):
    command = [sys.executable, "benchmarks/run.py", "--quick", "--output", str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    text = (tmp_path / "benchmarks.md").read_text()
    assert run.stdout == text
    assert (tmp_path / "benchmarks.svg").read_text().startswith("<?xml")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line[:2] == "| "]
    exact = [float(row[-1]) for row in rows if "exact (30)" in row[0]]
    assert len(exact) == 1
    assert exact[0] < 1e-12
    reached = [row for row in rows if len(row) == 6 and re.fullmatch(r"1e-\d+", row[1])]
    assert {row[2] for row in reached} >= {"gfcore flow.solve", "SciPy DOP853"}
    for row in reached:
        # SciPy's interpolation between steps is what keeps it from 1e-12.
        assert float(row[-1].split()[0]) <= (float(row[1]) if "gfcore" in row[2] else 1e-9)
    # From an input event to the curve; a browser that is not there is no failure.
    waits = {row[0]: row[1:] for row in rows if row[-1] in ("16", "100")}
    assert len(waits) == 2
    assert all(float(late) >= float(middle) > 0 for middle, late, _ in waits.values())


def test_benchmarks_run_without_a_browser(monkeypatch):
    from benchmarks.run import explorers  # slow to import, and needed by no other test

    monkeypatch.setattr("benchmarks.run.chromium", lambda: None)
    assert explorers(quick=True).count("not run: no Chromium") == 4
