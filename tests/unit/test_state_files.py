"""What a power cut leaves of files: state that cannot be read is not there, results are told by name with the cure."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from swath import checksums, files
from swath.checks import preflight
from swath.checks.context import CheckRequest
from swath.coordination import job_messages, run_registry
from swath.coordination.fencing import FencingToken
from swath.coordination.lease import Lease, leased, newest_claim
from swath.coordination.process_identity import this_process
from swath.errors import UserError
from swath.files import content_of_zips, read_json, unzip, write_json, zip_directory
from swath.job import attempt_log, run_script
from swath.plan.finished import Winner
from swath.prediction import predict
from swath.scenes import blocks
from swath.scenes.manifest import read_manifests
from swath.scenes.table import PassedOver
from swath.smk import hooks
from swath.training.checkpoints import CheckpointFolder, Position
from swath.training.weight_files import check_weights

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "halved": lambda content: content[: len(content) // 2],
    "noise": lambda content: random.Random(len(content)).randbytes(len(content)),
}
RUN = {**this_process(), "pid": os.getppid(), "started": 0.0}


@pytest.fixture(params=DAMAGES)
def damage(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Empties a file, halves it, or writes noise into it."""
    monkeypatch.chdir(tmp_path)

    def change(path: Path) -> None:
        path.write_bytes(DAMAGES[request.param](path.read_bytes()))

    return change


def a_run() -> Path:
    """Note a run of the process that has started this one."""
    import psutil

    file = run_registry.RUNS / "other.json"
    write_json(file, {**RUN, "started": psutil.Process(os.getppid()).create_time()})
    write_json(file.with_suffix(run_registry.CLAIMED), {"reads": [], "makes": ["a"]})
    return file


# --- what processes agree by -----------------------------------------------------------------------


def test_a_run(damage: Callable[[Path], None]) -> None:
    file = a_run()
    assert len(run_registry.live_runs()) == 1
    damage(file)
    assert run_registry.in_the_way(set(), {"a"}) == []
    assert run_registry.live_runs() == []
    assert list(run_registry.RUNS.iterdir()) == []


def test_what_a_run_claims_and_has_made(damage: Callable[[Path], None]) -> None:
    file = a_run()
    made = file.with_suffix(run_registry.MADE)
    made.write_text("something else\nb\n")
    damage(made)
    assert len(run_registry.in_the_way(set(), {"a"})) == 1
    damage(file.with_suffix(run_registry.CLAIMED))
    assert run_registry.in_the_way(set(), {"a"}) == []


def test_names_of_a_runs_jobs(damage: Callable[[Path], None]) -> None:
    run_registry.note_name_of_jobs("jobs")
    damage(run_registry.NAMES_OF_JOBS / "jobs.json")
    other = a_run()
    assert run_registry.names_of_dead_runs() == set()  # they could be the other's
    other.unlink()
    assert run_registry.names_of_dead_runs() == {"jobs"}


def test_a_fencing_token(damage: Callable[[Path], None]) -> None:
    token = FencingToken(["results/a"])
    token.acquire()
    damage(token.path)
    token.check()
    damage(token.path)
    FencingToken(["results/a"], "another").acquire()
    with pytest.raises(UserError, match="job_superseded"):
        token.check()


def test_a_lease(damage: Callable[[Path], None], tmp_path: Path) -> None:
    holder = Lease(tmp_path, heartbeat=1000)
    holder.acquire()
    damage(holder.claim)
    with leased(tmp_path) as next_one:  # at once: nobody waits for a sign of life
        assert newest_claim(tmp_path) == next_one.number == 2
    holder.release()


def test_messages_of_jobs(damage: Callable[[Path], None]) -> None:
    job_messages.write(["results/a"], "ERROR wrong_value: so and so")
    (file,) = job_messages.FOLDER.iterdir()
    damage(file)
    assert [text for text in job_messages.read_all() if not "ERROR wrong_value: so and so".startswith(text)] == []


def test_readings(damage: Callable[[Path], None]) -> None:
    request = CheckRequest("small", (), (), {}, {}, (), (), PassedOver(), {})
    memory = preflight.REMEMBERED / "small.json"
    write_json(memory, {"key": {}})
    damage(memory)
    assert preflight.look_at(request).readings == []


def test_footprints(damage: Callable[[Path], None], tmp_path: Path) -> None:
    memory = tmp_path / "footprints.json"
    write_json(memory, {"a.tif": {"stamp": None, "corners": []}})
    damage(memory)
    assert blocks.read_footprints([], memory) == []


def test_what_earlier_attempts_said(
    damage: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(attempt_log.VARIABLE, "")
    said = tmp_path / "train.log"
    said.write_text("epoch 1 of 3\n")
    damage(said)
    attempt_log.continue_attempt_log(said)
    attempt_log.add("stopped")
    assert said.read_bytes().endswith(b"stopped\n")


def test_versions_of_libraries(damage: Callable[[Path], None], tmp_path: Path) -> None:
    file = tmp_path / "libraries.yaml"
    file.write_text("- {python: '3.11', torch: '2'}\n")
    damage(file)
    assert run_script._read_list(file) == []


def test_checksums_of_results(damage: Callable[[Path], None]) -> None:
    result = Path("results/evals/key/test.json")
    write_json(result, {})
    checksums.write_record({str(result): result}, [])
    (record,) = checksums.RECORDS.rglob("*.json")
    damage(record)
    assert checksums.damage_of_job([str(result)]) is None
    assert list(checksums.read_records()) == []


def test_what_maps_were_made_from(damage: Callable[[Path], None], tmp_path: Path) -> None:
    made_from = {"model": "1", "image": ["2"]}
    (tmp_path / "map.tif").write_text("map")
    write_json(tmp_path / predict.MADE_FROM, {**made_from, "maps": predict.checksums_of_maps(tmp_path)})
    assert predict.is_made_from(tmp_path, made_from)
    damage(tmp_path / predict.MADE_FROM)
    assert not predict.is_made_from(tmp_path, made_from)


def test_maps(damage: Callable[[Path], None], tmp_path: Path) -> None:
    made_from = {"model": "1", "image": ["2"]}
    (tmp_path / "map.tif").write_text("map")
    write_json(tmp_path / predict.MADE_FROM, {**made_from, "maps": predict.checksums_of_maps(tmp_path)})
    damage(tmp_path / "map.tif")
    assert not predict.is_made_from(tmp_path, made_from)


def test_checkpoints(damage: Callable[[Path], None], tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    path = folder.last(Position(1, 0))
    torch.save({"state_dict": {}}, path)
    assert folder.newest()
    damage(path)
    assert folder.newest() is None


def test_the_winner(damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]) -> None:
    winner = Path("results/experiments/small/winner.json")
    write_json(winner, vars(Winner("a", "a,seed=0", "macro_f1", 0.5, 0.1, 0.6)))
    hooks._forget_unreadable([str(winner)])
    assert winner.exists()
    damage(winner)
    hooks._forget_unreadable([str(winner)])
    assert not winner.exists()
    assert "made again" in capsys.readouterr().err


# --- results: told by name, with the cure --------------------------------------------------------


def test_json_that_a_stage_reads(damage: Callable[[Path], None], tmp_path: Path) -> None:
    manifest = tmp_path / "train-1.json"
    write_json(manifest, {"scenes": {}})
    damage(manifest)
    for read in (read_json, lambda path: read_manifests([path])):
        with pytest.raises(UserError) as raised:
            read(manifest)
        (problem,) = raised.value.problems
        assert (problem.code, problem.file) == ("result_damaged", str(manifest))
        assert f"rm '{manifest}'" in problem.cure


def test_zips(damage: Callable[[Path], None], tmp_path: Path) -> None:
    (tmp_path / "chips").mkdir()
    (tmp_path / "chips" / "a.npy").write_bytes(random.Random(0).randbytes(5000))
    archive = tmp_path / "train-1.zip"
    zip_directory(tmp_path / "chips", archive)
    damage(archive)
    for read in (lambda: unzip(archive, tmp_path / "unpacked"), lambda: content_of_zips([archive])):
        with pytest.raises(UserError) as raised:
            read()
        (problem,) = raised.value.problems
        assert (problem.code, problem.file) == ("result_damaged", str(archive))


def test_the_record_of_fetched_weights(damage: Callable[[Path], None], tmp_path: Path) -> None:
    weights, record = tmp_path / "a.pth", tmp_path / "a.json"
    weights.write_text("weights")
    write_json(record, {"sha256": files.sha256(weights)})
    check_weights(weights, record)
    damage(record)
    with pytest.raises(UserError, match="checksum_mismatch"):
        check_weights(weights, record)


# --- what is renamed is on the disk -------------------------------------------------------------------


def test_files_and_folders_are_flushed_before_they_are_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor: int) -> None:
        done.append(f"flush {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        fsync(descriptor)

    def noted_replace(source: Path, target: Path) -> None:
        done.append(f"rename to {target.name}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    with files.publish(tmp_path / "state.json") as temporary:
        temporary.write_text("{}")
    assert done == [f"flush {temporary.name}", "rename to state.json", f"flush {tmp_path.name}"]
    done.clear()
    with files.publish_directory(tmp_path / "maps") as temporary:
        (temporary / "a.tif").write_text("a")
    assert done.index("flush a.tif") < done.index("rename to maps") < done.index(f"flush {tmp_path.name}")
