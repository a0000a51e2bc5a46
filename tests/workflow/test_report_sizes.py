"""A report of many scenes or many runs can be mailed."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_experiment import made_experiment
from made_report import MOST_BYTES, map_json, report_of

pytestmark = [pytest.mark.workflow, pytest.mark.long]


@pytest.mark.parametrize(("scenes", "trials", "repeats"), [(8, 2, 1), (50, 2, 1), (500, 2, 1), (3, 100, 3)])
def test_a_report_stays_small_enough_to_mail(tmp_path: Path, scenes: int, trials: int, repeats: int) -> None:
    side = {8: 1100, 50: 500, 500: 128}.get(scenes, 96)
    findings = made_experiment(tmp_path / "made", trials=trials, repeats=repeats, scenes=scenes, side=side)
    page = report_of(findings)
    assert page.stat().st_size < MOST_BYTES
    shown = len(map_json(page)["scenes"])
    if shown < 2 * scenes:
        assert f"{2 * scenes - shown} scenes are left out" in page.read_text()
