"""How far an experiment is, as the files say it; whoever holds a folder here is a real process, killed for real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from experiment import REPOSITORY

from swath.cluster.queue import QueuedJob
from swath.coordination import job_messages
from swath.coordination.fencing import FencingToken
from swath.coordination.lease import claim_of
from swath.coordination.run_registry import note_name_of_jobs
from swath.smk import watching
from swath.status.table import MOST, MOST_LINES, headline, lines_of_run, report, seconds_of_all, table
from swath.status.trainings import (
    DONE,
    FAILED,
    QUEUED,
    STARTING,
    STOPPED,
    TRAINED,
    TRAINING,
    WAITING,
    RunState,
    in_a_line,
    state_of,
)
from swath.status.watched import Watched, WatchedRun
from swath.status.witness import Witness

TRAINER = """
import sys
from pathlib import Path
from swath.coordination.fencing import FencingToken
from swath.coordination.lease import Lease
from swath.coordination.process_identity import this_process
from swath.coordination.training_progress import TrainingProgress, write_progress
FencingToken(sys.argv[2:]).acquire()
print("begun", flush=True)
for line in sys.stdin:
    if line == "lease\\n":
        ownership = Lease(Path(sys.argv[1]), heartbeat=0.1)
        ownership.acquire()
    else:
        ended = line.strip().removeprefix("epoch")
        write_progress(Path(sys.argv[1]), TrainingProgress(
            8, 3, 45, 90, "macro_f1", 0.7, 2, 60.0, 270.0, "one CPU thread, 32-bit floats", ended, this_process()))
    print("done", flush=True)
"""
MADE = ("model-bundle.zip", "metrics.csv", "timing.csv")
KEY = "results/models/a1b2c3d4e5f6"
RUN = WatchedRun(
    "lr=0.1,seed=0",
    KEY,
    "results/logs/train/a1b2c3d4e5f6.log",
    [f"{KEY}/{name}" for name in MADE],
    {"predicting": [["results/predictions/1/a.json"]]},
    8,
    "macro_f1",
)
CHECKPOINTS = Path(KEY) / "checkpoints" / "0123456789ab"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Trainer:
    """A process that says what a training says."""

    def __init__(self, process: subprocess.Popen[str]):
        self.process = process

    def does(self, *words: str) -> None:
        assert self.process.stdin and self.process.stdout
        for word in words:
            self.process.stdin.write(f"{word}\n")
            self.process.stdin.flush()
            self.process.stdout.readline()

    def is_killed(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def trainer(job: str = "") -> Iterator[Trainer]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "scripts"), **({"SLURM_JOB_ID": job} if job else {})}
    process = subprocess.Popen(
        [sys.executable, "-c", TRAINER, str(CHECKPOINTS), *RUN.training],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    process.stdout.readline()
    try:
        yield Trainer(process)
    finally:
        process.kill()
        process.communicate()


def seen(witness: Witness | None = None) -> RunState:
    return state_of(RUN, witness or Witness(asks_slurm=False))


def make(*files: str) -> None:
    for file in files:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).write_text("{}")


def train_to_the_end() -> None:
    make(*RUN.training)
    Path(KEY, "metrics.csv").write_text("epoch,macro_f1\n1,0.5\n2,0.8\n3,0.6\n")
    Path(KEY, "timing.csv").write_text("epoch,seconds\n1,10\n2,20\n3,30\n")


# --- states ---------------------------------------------------------------------------------------


def test_a_training_from_its_first_moment_to_its_death_and_its_next_attempt() -> None:
    assert (seen().state, seen().epochs) == (WAITING, 8)
    with trainer() as first:
        assert seen().state == STARTING  # it reads chips
        first.does("lease")
        assert seen().state == STARTING
        first.does("epoch")
        now = seen()
        assert (now.state, now.epoch, now.share, now.best, now.best_epoch) == (TRAINING, 3, 0.5, 0.7, 2)
        assert now.worker and now.worker["pid"] == first.process.pid
        (CHECKPOINTS / "last-00002-0000010.ckpt").touch()
        first.is_killed()
    killed = seen()
    assert (killed.state, killed.epoch, killed.seconds_left) == (STOPPED, 2, None) and "killed" in killed.remark
    with trainer() as second:  # what is known of the progress is the first one's: it is not shown as going on
        second.does("lease")
        assert (seen().state, seen().seconds_left) == (STARTING, None)
        second.does("epoch")
        assert seen().state == TRAINING


def test_a_training_that_was_asked_to_stop_has_not_failed() -> None:
    ended = "lr=0.1,seed=0: stopped by SIGTERM after 3 epochs; nothing is lost, the same command goes on from here"
    with trainer() as asked:
        asked.does("lease", f"epoch{ended}")
        job_messages.write(RUN.training, ended)
        asked.is_killed()
    assert (seen().state, seen().remark) == (STOPPED, "stopped by SIGTERM after 3 epochs")


def test_a_failure_is_told_until_somebody_tries_again() -> None:
    with trainer() as failing:
        failing.does("lease", "epoch")
        job_messages.write(RUN.training, "ERROR disk_full\nresults/a\n  found:    No space left\n  cure: make room")
        failing.is_killed()
    assert (seen().state, seen().remark) == (FAILED, "disk_full: No space left")
    time.sleep(0.05)
    with trainer():
        assert seen().state == STARTING


def test_what_is_made_of_a_model_that_is_trained() -> None:
    train_to_the_end()
    done = seen()
    assert (done.state, done.epoch, done.best, done.best_epoch) == (TRAINED, 3, 0.8, 2)
    assert done.seconds_per_epoch == 20
    FencingToken(RUN.later["predicting"][0]).acquire()  # this very process predicts
    assert seen().state == "predicting"
    make(*RUN.later["predicting"][0])
    assert seen().state == DONE
    assert "macro_f1 0.8000, epoch 2             took 60 seconds" in report(Watched("mine", [RUN]), Witness())


def test_a_training_on_another_machine_is_judged_by_slurm_or_by_its_last_sign() -> None:
    with trainer("4711") as elsewhere:
        elsewhere.does("lease", "epoch")
        elsewhere.is_killed()
    found = claim_of(CHECKPOINTS)
    assert found
    for file in (found[0], CHECKPOINTS / "progress.json", FencingToken(RUN.training).path):
        content = json.loads(file.read_text())
        content["process" if "process" in content else "host"] = (
            {**content["process"], "host": "node03"} if "process" in content else "node03"
        )
        file.write_text(json.dumps(content))
    assert seen().state == TRAINING
    witness = Witness()
    vars(witness)["queue"] = {}  # SLURM knows of no such job
    assert seen(witness).state == STOPPED
    vars(witness)["queue"] = {"4711": QueuedJob("4711", "RUNNING", "rule_train_wildcards_x")}
    assert "job 4711 on node03" in report(Watched("mine", [RUN]), witness)
    old = time.time() - 100
    os.utime(found[0], (old, old))
    os.utime(CHECKPOINTS / "progress.json", (old, old))
    signs: dict[Path, float] = {}
    assert seen(Witness(False, signs)).state == STOPPED
    os.utime(found[0], (old + 10, old + 10))  # of a machine whose clock is slow
    assert seen(Witness(False, signs)).state == TRAINING
    vars(witness)["queue"] = {"4712": QueuedJob("4712", "PENDING", f"rule_train_wildcards_{Path(KEY).name}")}
    assert seen(witness).state == STOPPED
    note_name_of_jobs("mine-1234")
    assert seen(witness).state == QUEUED


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("ERROR a\nconfig: b\n  found:    c\n  cure:     d", "a: c"),
        ("ValueError: x (more in y)", "ValueError: x (more in y)"),
        ("", "it said nothing"),
    ],
)
def test_a_message_in_a_line(message: str, line: str) -> None:
    assert in_a_line(message) == line


@pytest.mark.parametrize("content", ["", "[]", "{", '{"epochs": "8"}'])
def test_what_a_power_cut_has_left_is_not_there(content: str) -> None:
    CHECKPOINTS.mkdir(parents=True)
    for name in ("owner-000001.json", "progress.json"):
        (CHECKPOINTS / name).write_text(content)
    assert seen().state == STOPPED
    train_to_the_end()
    Path(KEY, "metrics.csv").write_text(content)
    assert seen().state == TRAINED


# --- words ----------------------------------------------------------------------------------------


def training(number: int, left: float = 120.0, **more: Any) -> RunState:
    run = replace(RUN, name=f"lr={number},seed=0", model=f"results/models/{number}")
    state: dict[str, Any] = {"epoch": 3, "epochs": 8, "share": 0.5, "monitor": "macro_f1", "best": 0.7}
    state |= {"best_epoch": 2, "seconds_per_epoch": 60.0, "seconds_left": left}
    return RunState(run, TRAINING, **{**state, **more})


def waiting(number: int) -> RunState:
    return RunState(replace(RUN, name=f"w={number}", model=f"results/models/w{number}"), WAITING, epochs=8)


def test_the_whole_takes_as_long_as_what_is_left_on_as_many_places() -> None:
    assert seconds_of_all([training(1), training(2)]) == 120
    assert seconds_of_all([training(1), training(2), waiting(1), waiting(2)]) == (2 * 120 + 2 * 480) / 2
    assert seconds_of_all([training(1), waiting(1)]) == 600
    assert seconds_of_all([waiting(1)]) is None


def test_a_run_says_in_a_line_for_each_training_how_far_it_is() -> None:
    first, line = lines_of_run([training(1), waiting(1)])
    assert first == "0 of 2 trainings done, 1 at work; about 10 minutes to go for all of them"
    assert line == "lr=1,seed=0: epoch 4/8, 50 %, best macro_f1 0.7000 (epoch 2), about 2 minutes to go"
    assert lines_of_run([waiting(1)]) == []
    many = lines_of_run([training(number) for number in range(40)])
    assert len(many) == MOST_LINES + 2 and many[-1] == f"and {40 - MOST_LINES} more"


def test_of_thousands_of_runs_the_table_shows_those_that_matter() -> None:
    rows = table([*map(waiting, range(3000)), training(7)])
    assert len(rows) == 1 + MOST + 1 + 1
    assert rows[-1] == f"and {3000 - MOST} more: waiting" and "lr=7" in rows[-2]


def test_stages_are_counted_and_runs_of_snakemake_named() -> None:
    make("a.json")
    stages = {"scenes": [["a.json"], ["b.json"]], "maps": [["c.json"]]}
    FencingToken(["b.json"]).acquire()
    said = report(Watched("mine", [], stages, "A remark."), Witness(asks_slurm=False))
    assert "scenes  1 of 2, 1 at work (" in said and "maps    0 of 1\n" in said
    assert "A remark." in said and "No run of Snakemake is at work here" in said


# --- the log of a run -----------------------------------------------------------------------------


def test_the_log_of_a_run_tells_now_and_then_of_the_trainings_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setenv(watching.VARIABLE, "0.05")
    looks = watching.tell_of_trainings(lambda: Watched("mine", [RUN]), said.append)
    with trainer() as at_work:
        time.sleep(0.2)
        assert not said  # none has begun
        at_work.does("lease", "epoch")
        end = time.monotonic() + 20
        while not said and time.monotonic() < end:
            time.sleep(0.02)
    looks.stop()
    first, line = said[0].splitlines()
    assert "0 of 1 trainings done, 1 at work" in first
    assert line == "    lr=0.1,seed=0: epoch 4/8, 50 %, best macro_f1 0.7000 (epoch 2), about 4 minutes to go"


@pytest.mark.parametrize("said", ["often", "0", "-1", "nan", "inf"])
def test_how_often_a_run_tells_is_a_number_of_seconds(
    said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(watching.VARIABLE, said)
    with pytest.raises(SystemExit):
        watching.tell_of_trainings(lambda: Watched("mine"))
    assert f"wrong_value\n{watching.VARIABLE}" in capsys.readouterr().err


def test_a_training_that_a_search_has_stopped_is_told_apart(tmp_path: Path) -> None:
    metrics = tmp_path / "rung-2.csv"
    metrics.write_text("epoch,macro_f1\n1,0.1\n2,0.3\n")
    run = WatchedRun("a,seed=0", str(tmp_path), "", (), {}, epochs=9, monitor="macro_f1", left_out=str(metrics))
    (state,) = [state_of(run, Witness(asks_slurm=False))]
    assert (state.state, state.epoch, state.best, state.best_epoch) == ("stopped early", 2, 0.3, 2)
    assert headline([state]) == "0 of 0 trainings done, 1 stopped early"
