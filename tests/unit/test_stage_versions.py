"""No stage changes what it makes without a new version: the code behind each of them is compared with its record."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import recorded_results

import stage_code
from stage_code import RECORD, differences, digests_of, modules_of, record_of_code
from swath.versions import EXPERIMENT, KEYED, OWN_MODULE


@pytest.fixture(scope="module")
def now() -> dict[str, Any]:
    return record_of_code()


def test_the_code_behind_every_stage_is_what_was_recorded(now: dict[str, Any]) -> None:
    told = differences(json.loads(RECORD.read_text()), now)
    assert not told, f"\n{told}"


def test_every_stage_is_recorded(now: dict[str, Any]) -> None:
    assert len(now["stages"]) == len(KEYED) + len(OWN_MODULE) + len(EXPERIMENT) + 1
    for entry, _ in stage_code.STAGES.values():
        assert stage_code.path_of(entry).is_file()


def test_what_has_changed_is_told_with_stage_function_and_cure(now: dict[str, Any]) -> None:
    changed = deepcopy(now)
    changed["modules"]["swath.scenes.vectors"]["read_labels"] = "another"
    changed["stages"]["KEYED['evals']"]["version"] += 1
    told = differences(now, changed)
    assert f"KEYED['scenes'] (version {KEYED['scenes']}, scenes.py)\n    swath.scenes.vectors: read_labels\n" in told
    before = KEYED["evals"]
    assert f"KEYED['evals'] (version {before + 1}, eval.py)\n    version {before} has become {before + 1}" in told
    assert "KEYED['models']" not in told
    assert "raise its version in\nscripts/swath/versions.py" in told
    assert "make record" in told


def test_modules_that_come_and_go_are_told(now: dict[str, Any]) -> None:
    changed = deepcopy(now)
    changed["stages"]["KEYED['stats']"]["modules"].remove("swath.files")
    told = differences(now, changed)
    assert f"KEYED['stats'] (version {KEYED['stats']}, analyze.py)\n    swath.files: is imported no more" in told
    assert "swath.files: is imported now" in differences(changed, now)
    assert differences(now, now) == ""


CODE = '''
"""A module."""
import logging
log = logging.getLogger("x")
LIMIT = 3

def work(number: int) -> int:
    """Do it."""
    log.info("working on %d", number)
    if number > LIMIT:
        raise ValueError(f"too large: {number}")
    return number + 1

class Thing:
    """A thing."""
    size: int = 4
    def grow(self) -> None:
        self.size += 1
'''


def digests(folder: Path, code: str) -> dict[str, str]:
    path = folder / "module.py"
    path.write_text(code)
    return digests_of(path)


def changed_functions(folder: Path, old: str, new: str) -> set[str]:
    assert old in CODE
    before, after = digests(folder, CODE), digests(folder, CODE.replace(old, new))
    return {name for name in {*before, *after} if before.get(name) != after.get(name)}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Do it."""', '"""Do it well."""'),
        ('"working on %d"', '"at work on %d"'),
        ('f"too large: {number}"', '"too large"'),
        ("number: int", "number: float"),
        ("LIMIT = 3", "LIMIT = 3  # at most"),
        ("import logging\n", "import logging\n\n\n"),
    ],
)
def test_words_comments_and_annotations_do_not_count(old: str, new: str, tmp_path: Path) -> None:
    assert changed_functions(tmp_path, old, new) == set()


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("number + 1", "number + 2", {"work"}),
        ("raise ValueError(", "raise KeyError(", {"work"}),
        ("LIMIT = 3", "LIMIT = 4", {"module"}),
        ("size: int = 4", "size: float = 4", {"Thing"}),
        ("self.size += 1", "self.size += 2", {"Thing.grow"}),
        ("def grow", "def shrink", {"Thing.grow", "Thing.shrink"}),
    ],
)
def test_everything_else_counts(old: str, new: str, changed: set[str], tmp_path: Path) -> None:
    assert changed_functions(tmp_path, old, new) == changed


def test_a_script_brings_all_its_modules_and_none_that_only_tell() -> None:
    assert {"chip", "swath.rv.chip", "swath.rv.pipeline", "swath.rv.windows"} <= modules_of("chip")
    assert not {
        name for name in modules_of("train") if name.startswith(("swath.errors", "swath.job.run_script", "swath.smk"))
    }


@pytest.mark.parametrize("script", ["train", "pipeline_train", "chip", "analyze", "scenes"])
def test_what_makes_no_maps_depends_on_nothing_that_does(script: str) -> None:
    far = (
        "swath.products",
        "swath.report",
        "swath.plan.plan",
        "swath.checks",
        "swath.cluster",
        "swath.smk",
        "swath.demo.data_sets",
    )
    assert not {name for name in modules_of(script) if name.startswith(far)}


def test_the_deterministic_stages_make_what_was_recorded() -> None:
    recorded, now = json.loads(recorded_results.RECORD.read_text()), recorded_results.checksums_of_results()
    others = {stage: [name for name in made if made[name] != recorded[stage].get(name)] for stage, made in now.items()}
    others = {stage: names for stage, names in others.items() if names}
    assert not others, "they make something else now: raise their version in swath/versions.py, then `make record`"
    assert {stage: set(made) for stage, made in now.items()} == {stage: set(made) for stage, made in recorded.items()}
