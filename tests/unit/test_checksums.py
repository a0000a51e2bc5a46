"""How a lost or damaged result is noticed; tests/workflow sees it made again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from swath.checksums import RECORDS, damage_of_job, read_records, remove_damaged, verify, write_record
from swath.errors import UserError
from swath.job.verify import verify_results

MANIFEST, MAP, TABLES = (
    "results/predictions/key/1.json",
    "results/predictions/key/a/map.tif",
    "results/stats/key/s.json",
)
LINK = "results/experiments/small/winner/model"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (MANIFEST, MAP, f"{MAP}.aux.xml", TABLES, ".snakemake/state.json", "resources/a.tif"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(path)
    Path(LINK).parent.mkdir(parents=True)
    Path(LINK).symlink_to("../../../predictions/key")
    write_record({MANIFEST: Path(MANIFEST)}, [Path(MAP).parent, Path(".snakemake/state.json"), Path("resources/a.tif")])
    write_record({TABLES: Path(TABLES)}, [])
    write_record({"results/experiments/small/summary.txt": Path(MANIFEST)}, [Path(LINK).parent])
    Path("results/experiments/small/summary.txt").write_text(MANIFEST)


def test_results_are_recorded_and_nothing_else() -> None:
    files = {name for record in read_records() for name in record.files}
    assert files == {MANIFEST, MAP, f"{MAP}.aux.xml", TABLES, LINK, "results/experiments/small/summary.txt"}
    assert damage_of_job([MANIFEST]) is None
    assert remove_damaged() == []
    verify_results()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda: Path(MAP).unlink(), f"{MAP}: lost"),
        (lambda: Path(MAP).write_text(""), f"{MAP}: 0 bytes instead of {len(MAP)}"),
        (lambda: Path(MANIFEST).write_text("{}"), f"{MANIFEST}: 2 bytes instead of {len(MANIFEST)}"),
        (lambda: Path(f"{MAP}.aux.xml").unlink(), f"{MAP}.aux.xml: lost"),
    ],
)
def test_what_is_lost_or_of_another_size_is_noticed_by_every_run(change: Callable[[], object], said: str) -> None:
    change()
    assert damage_of_job([MANIFEST]) == said


def test_what_a_geographical_information_system_writes_beside_a_map_is_no_damage() -> None:
    Path(f"{MAP}.aux.xml").write_text("statistics")
    Path(MAP).with_name("map.tif.ovr").write_text("overviews")
    assert damage_of_job([MANIFEST]) is None
    verify_results()


def test_a_link_that_is_gone_is_noticed() -> None:
    Path(LINK).unlink()
    assert f"{LINK}: lost" in str(damage_of_job(["results/experiments/small/summary.txt"]))


def test_another_content_of_the_same_size_is_found_by_verify_and_made_again_from_then_on() -> None:
    Path(MAP).write_text(MAP[::-1])
    assert damage_of_job([MANIFEST]) is None
    with pytest.raises(UserError) as raised:
        verify_results()
    (problem,) = raised.value.problems
    assert (problem.code, problem.file) == ("result_damaged", MANIFEST)
    assert problem.found == f"{MAP}: another content than was written"
    assert damage_of_job([MANIFEST]) == f"{MANIFEST}: found damaged by `snakemake verify`"
    Path(MAP).write_text(MAP)
    write_record({MANIFEST: Path(MANIFEST)}, [Path(MAP).parent])
    assert damage_of_job([MANIFEST]) is None


def test_of_the_first_stages_what_is_damaged_goes_and_nothing_is_forced() -> None:
    Path(TABLES).write_text("")
    assert damage_of_job([TABLES]) is None
    (told,) = remove_damaged()
    assert told == f"{TABLES}: 0 bytes instead of {len(TABLES)}"
    assert not Path(TABLES).exists()
    assert remove_damaged() == []


def test_results_that_were_removed_as_a_whole_are_not_damaged() -> None:
    for path in (MAP, f"{MAP}.aux.xml", MANIFEST):
        Path(path).unlink()
    verify_results()


def test_nothing_is_known_of_results_without_a_record() -> None:
    for file in RECORDS.rglob("*.json"):
        file.unlink()
    Path(MAP).unlink()
    assert damage_of_job([MANIFEST]) is None
    assert [verify(record) for record in read_records()] == []
