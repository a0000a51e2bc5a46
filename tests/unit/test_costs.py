"""What jobs take is written down while they take it, adds up to the whole, and says what others will take."""

from __future__ import annotations

import csv
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from experiment import SMALL
from made_records import record
from small_job import run_job

from swath.config.load import load_experiment
from swath.cost.estimate import Estimate, Line, estimate
from swath.cost.measured import measured_prices
from swath.cost.outlook import Outlook, Size
from swath.cost.prices import FORK, TYPICAL, Price, Time, Work
from swath.cost.schedule import Place, PlannedJob, elapsed
from swath.cost.table import cost_rows, write_costs
from swath.cost.words import short, table_of
from swath.job.attempts import ENDING
from swath.job.energy import joules_of
from swath.job.spent import attempts_in, spent
from swath.plan.describe import keys_by_run
from swath.plan.plan import Plan, make_plan
from swath.scenes.scene import Scene

HERE = Place("on the 2 cores of this machine", 2)
BUSY = """
    import hashlib, os, signal, time
    from swath.coordination import heartbeat
    from swath.job import attempts
    heartbeat.HEARTBEAT = attempts.SELDOMEST = 0.05
    with job(snakemake) as (inputs, output, params):
        attempts.note_work(12)
        until = time.process_time() + 1.0
        while time.process_time() < until:
            hashlib.sha256(bytes(10_000_000))  # which lets other threads go on, as computing networks does
        if os.environ["END"] == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if os.environ["END"] == "failed":
            raise ValueError
        output.one.write_text("1" * 1000); output.two.write_text("2")
    """


SCENES = [
    Scene(name, split, f"{name}.tif", f"{name}.geojson")
    for name, split in {"a": "train", "b": "train", "c": "validation", "d": "test"}.items()
]


def plan_of(config: dict[str, Any]) -> Plan:
    return make_plan(load_experiment(config), SCENES, config)


def base(**sweep: Any) -> dict[str, Any]:
    return {**deepcopy(SMALL), "scenes": {"table": "scenes.csv"}, "sweep": sweep}


def test_killed_and_failed_attempts_count_as_far_as_they_came(tmp_path: Path) -> None:
    for end in ("killed", "failed", "done"):
        assert (run_job(tmp_path, BUSY, END=end).returncode == 0) == (end == "done")
        with (tmp_path / "log" / f"x{ENDING}").open("a") as file:
            file.write('{"attempt": "torn')
    attempts = attempts_in(tmp_path / "log" / f"x{ENDING}")
    assert [attempt.ended for attempt in attempts] == ["", "failed", "done"]
    assert all(attempt.cpu > 0.4 and attempt.seconds > 0.4 and attempt.memory > 10 for attempt in attempts)
    assert all(attempt.work == 12 and 0 < attempt.ready <= attempt.seconds for attempt in attempts)
    assert attempts[-1].bytes >= 1001 and attempts[-1].threads == 2 and attempts[-1].gpus == 0


def test_gpus_count_from_when_they_were_taken(tmp_path: Path) -> None:
    work = """
        import time
        from pathlib import Path
        from swath.job import gpus
        gpus.LOCKS = Path.cwd()
        with job(snakemake) as (inputs, output, params):
            time.sleep(0.5)
            gpus.take_gpus(2)
            output.one.write_text("1"); output.two.write_text("2")
        """
    assert run_job(tmp_path, work, CUDA_VISIBLE_DEVICES="5,6,7").returncode == 0
    (attempt,) = attempts_in(tmp_path / "log" / f"x{ENDING}")
    assert attempt.gpus == 2 and 0 <= attempt.gpu_seconds < 2 * (attempt.seconds - 0.5)


def test_a_machine_without_gpus_has_no_energy_to_tell_of() -> None:
    assert joules_of([]) is None
    assert joules_of(["MIG-0f1e2d3c"]) is None


def test_what_was_spent_is_of_all_attempts_of_some_results(tmp_path: Path) -> None:
    record(tmp_path / "train" / f"k1{ENDING}", gpus=2, joules=3.6e6)
    record(tmp_path / "chip" / "k2" / f"train-1-of-2-abc{ENDING}")
    record(tmp_path / "eval" / f"k3-validation{ENDING}", ended="")
    record(tmp_path / "train" / f"another{ENDING}")
    total = spent(tmp_path, {"train": ["k1", "k1"], "chip": ["k2"], "eval": ["k3"], "predict": ["k4"]})
    assert (total.jobs, total.attempts, total.seconds) == (3, 3, 3 * 3600)
    assert (total.cpu_hours, total.gpu_hours, total.joules) == (1.5, 2, 3.6e6)


def test_the_table_adds_up_to_the_whole(tmp_path: Path) -> None:
    keys = {run: {"chip": ["k1"], "train": [f"t-{run}"]} for run in ("a", "b")}
    record(tmp_path / "chip" / "k1" / f"train-1{ENDING}")
    record(tmp_path / "train" / f"t-a{ENDING}", gpus=1, joules=3.6e6, memory=900)
    record(tmp_path / "train" / f"t-b{ENDING}", gpus=1)  # a GPU without a counter
    record(tmp_path / "experiments" / "small" / f"leaderboard{ENDING}", ended="failed")
    write_costs(cost_rows(tmp_path, keys, [tmp_path / "experiments" / "small"], 400.0), tmp_path / "cost.csv")
    with (tmp_path / "cost.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["run"], row["stage"], row["shared_by"]) for row in rows] == [
        *(("a", "chip", "2"), ("a", "train", "1"), ("b", "chip", "2"), ("b", "train", "1")),
        ("all", "small", "2"),
    ]
    assert sum(float(row["cpu_seconds"]) for row in rows) == 4 * 1800
    assert sum(float(row["gpu_hours"]) for row in rows) == 2
    assert [row["co2_g"] for row in rows] == ["", "400.0", "", "", ""]
    assert rows[1]["peak_memory_mb"] == "900"


def planned(number: int, threads: int = 1, after: tuple[int, ...] = (), **changes: Any) -> PlannedJob:
    return PlannedJob(number, "train", {}, threads=threads, after=after, **changes)


@pytest.mark.parametrize(
    ("jobs", "place", "seconds"),
    [
        ([planned(n) for n in range(3)], HERE, 20),
        ([planned(n, threads=9) for n in range(3)], HERE, 30),  # no job has more cores than there are
        ([planned(0), planned(1, after=(0,)), planned(2)], HERE, 20),
        ([planned(0), planned(1, after=(0, 7))], HERE, 20),  # what is no job is there already
        ([planned(n) for n in range(250)], Place("", 1, slots=100), 30),
        ([planned(n, gpus=1) for n in range(4)], Place("", 8, gpus=2), 20),
        ([planned(n, is_local=True) for n in range(4)], Place("", 1, slots=100), 40),
        ([planned(n) for n in range(20_000)], Place("", 1, slots=100), 2000),
    ],
)
def test_jobs_begin_when_there_is_room(jobs: list[PlannedJob], place: Place, seconds: float) -> None:
    assert elapsed(jobs, {job.number: 10.0 for job in jobs}, place) == seconds


def test_where_jobs_are_forked_no_import_is_paid_for() -> None:
    probed = Price(Time(10, 9), Time(2, 1), imports=Time(7, 6), source="probed")
    assert probed.forked() == Price(Time(3, 3), Time(2, 1), source="probed")
    assert all(FORK <= price.forked().start <= price.start for price in TYPICAL.values() if price.start > FORK)
    measured = Price(Time(10, 9))
    assert measured.forked() == measured  # however its jobs were started


def test_a_price_grows_with_the_work() -> None:
    price = Price(Time(5, 4), Time(0.1, 0.2), validation=Time(1, 1), epoch=Time(2, 1), bytes=7, bytes_of_unit=2)
    assert price.time_of(Work(100, validation=3, epochs=2)) == (5 + 2 * (10 + 3 + 2), 4 + 2 * (20 + 3 + 1))
    assert price.bytes_of(Work(100)) == 207


# --- an estimate from what was measured ---------------------------------------------------------------------


def outlook_of(plan: Plan, folder: Path) -> Outlook:
    sizes = {scene.id: Size(192, 192) for scene in plan.scenes}
    outlook = Outlook(
        plan,
        folder,
        folder / "logs",
        scenes_behind=lambda stage, wildcards: plan.scenes_of("validation"),
        chips_of=lambda wildcards: [str(folder / "not-there.zip")],
        later=lambda least=False: {},
        sizes=sizes,
    )
    for run_ in plan.runs:
        outlook.kept |= {(run_.chips, "train"): 0.5, (run_.chips, "validation"): 0.5}
    return outlook


def made(folder: Path, plan: Plan) -> None:
    """Let the first run of a plan be done: two epochs of six chips, a minute each."""
    first = plan.runs[0]
    for stage in ("scenes", "chips", "models", "predictions"):
        key = getattr(first, stage)
        (folder / stage / key).mkdir(parents=True)
        (folder / stage / key / "spec.yaml").write_text(yaml.safe_dump(plan.specs[stage][key]))
    timing = "epoch,seconds,training_seconds,samples_per_second\n1,60,40,0.15\n2,60,40,0.15\n"
    (folder / "models" / first.models / "timing.csv").write_text(timing)
    record(folder / "logs" / "train" / f"{first.models}{ENDING}", seconds=130, cpu=260, bytes=1000)
    place = folder / "logs" / "predict" / first.predictions / f"1-of-1-abcdef{ENDING}"
    record(place, rule="predict", seconds=30, cpu=20, ready=10, ready_cpu=8, work=64.0**2 * 16)


def jobs_of(plan: Plan) -> list[PlannedJob]:
    last = plan.runs[-1]
    return [
        PlannedJob(0, "train", {"key": last.models}),
        PlannedJob(1, "predict", {"key": last.predictions, "shard": "1-of-1-abcdef"}, after=(0,)),
    ]


def test_another_learning_rate_takes_as_long(tmp_path: Path) -> None:
    plan = plan_of(base(grid={"train.learning_rate": [0.001, 0.003], "train.epochs": [2, 4]}))
    made(tmp_path, plan)
    found = estimate(jobs_of(plan), outlook_of(plan, tmp_path), HERE, probes=False)
    # four epochs of 2 scenes × 6 windows, half of which become chips; ten seconds before and after
    assert found.lines["train"].time == pytest.approx((10 + 4 * 60, 2 * (10 + 4 * 60)))
    # a scene of 192 pixels has 4 × 4 windows of 64 with a stride of 48
    assert found.lines["predict"].time == pytest.approx((30, 20))
    assert found.elapsed == pytest.approx(280) and found.cpu_hours == pytest.approx(520 / 3600)
    assert not found.unknown and "measured" in table_of(found)
    assert short(found).startswith("By what earlier jobs took: 0.144 CPU hours, ")


def test_of_an_interrupted_training_what_is_left_counts(tmp_path: Path) -> None:
    plan = plan_of(base(grid={"train.learning_rate": [0.001, 0.003]}, repeats=2))
    outlook, run_ = outlook_of(plan, tmp_path), plan.runs[1]
    assert outlook.training_work(run_) == Work(12 * 64**2 / 2, 6 * 64**2 / 2, 2)
    checkpoints = tmp_path / "models" / run_.models / "checkpoints" / "fingerprint"
    checkpoints.mkdir(parents=True)
    (checkpoints / "last-00001-0000003.ckpt").touch()
    assert outlook.training_work(run_).epochs == 1


def test_another_network_is_not_known(tmp_path: Path) -> None:
    plan = plan_of(base(grid={"model.encoder": ["tu-resnet10t", "resnet18"]}))
    made(tmp_path, plan)
    found = estimate(jobs_of(plan), outlook_of(plan, tmp_path), HERE, probes=False)
    assert found.unknown == ["train", "predict"]
    assert "snakemake --cores 1 estimate" in short(found)


def test_what_was_measured_on_a_gpu_says_nothing_of_a_cpu(tmp_path: Path) -> None:
    plan = plan_of(base())
    made(tmp_path, plan)
    (file,) = (tmp_path / "logs" / "train").iterdir()
    record(file, gpus=1)
    outlook = outlook_of(plan, tmp_path)
    prices = measured_prices(tmp_path, tmp_path / "logs", ["train"])
    assert outlook.kind_of_run(plan.runs[0], has_gpus=True) in prices
    assert outlook.kind_of_run(plan.runs[0], has_gpus=False) not in prices


def test_gpu_hours_of_a_machine_without_gpus_are_not_told() -> None:
    line = Line("train", 2, Time(7200, 7200), 2.0, 5e6, {"probed"}, is_most=True)
    found = Estimate({"train": line}, 7200, Place("with 10 jobs at once on slurm", 4, slots=10), gpu_unknown=True)
    table = table_of(found)
    assert "≤ 2.0" in table and "?" in table.splitlines()[1] and "About 2.0 hours, with 10 jobs at once" in table


def test_every_run_names_the_keys_of_its_results() -> None:
    plan = plan_of(base(grid={"train.learning_rate": [0.001, 0.003]}))
    keys = keys_by_run(plan.runs)
    first, second = (keys[run_.name] for run_ in plan.runs)
    assert first["chip"] == second["chip"] and first["train"] != second["train"]
    assert len(first["eval"]) == 2 and len(first["analyze"]) == 1
