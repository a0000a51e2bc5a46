"""What happens to machines and daemons while a training runs: each ends with the bytes of an undisturbed one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from experiment import REPOSITORY, Project
from slurm import Slurm, wait_until
from training_on_cluster import (
    ends_well,
    epochs_done,
    history,
    is_complete,
    is_dead_pid,
    nodes,
    other,
    resume,
    states,
    submitted,
    trainer,
    training,
    trainings,
    type_it,
)

WAIT = "import threading; from swath.cluster.slurm import wait_for_controller; wait_for_controller(threading.Event())"

pytestmark = [pytest.mark.workflow, pytest.mark.cluster]


def test_a_node_crashes(training_to_do: Project, undisturbed: Project, slurm: Slurm) -> None:
    with training(training_to_do, slurm) as process:
        job = trainings(slurm, training_to_do)[0]
        slurm.control("crash", job["node"])
        try:
            ends_well(process, training_to_do, undisturbed)
        finally:
            slurm.control("start", f"slurmd-{job['node']}")
    assert states(slurm, job["id"]) == ["NODE_FAIL"]
    assert nodes(slurm, training_to_do) == [job["node"], other(job["node"])]


def test_a_nodes_daemon_dies_while_its_job_lives(training_to_do: Project, undisturbed: Project, slurm: Slurm) -> None:
    """SLURM gives the job up, Snakemake starts it anew, and the first one still trains: only one of them writes."""
    with training(training_to_do, slurm) as process:
        job, orphan = trainings(slurm, training_to_do)[0], trainer(training_to_do)
        os.kill(orphan, signal.SIGSTOP)  # so that it is not done before SLURM gives it up
        slurm.control("kill", f"slurmd-{job['node']}")
        try:
            wait_until(
                lambda: [again["node"] for again in trainings(slurm, training_to_do)] == [other(job["node"])],
                seconds=300,
            )
            os.kill(orphan, signal.SIGCONT)
            ends_well(process, training_to_do, undisturbed)
            wait_until(lambda: is_dead_pid(orphan), seconds=60)
        finally:
            slurm.control("start", f"slurmd-{job['node']}")
    assert states(slurm, job["id"]) == ["NODE_FAIL"]
    _, first, second = history(training_to_do).split("attempt on")
    assert f"process {orphan}" in first
    assert "works on it by now" in second  # the first one's last word
    is_complete(training_to_do, undisturbed)  # the first one has not touched it


def test_snakemake_is_killed(training_to_do: Project, undisturbed: Project, slurm: Slurm) -> None:
    with training(training_to_do, slurm) as process:
        os.kill(trainer(training_to_do), signal.SIGSTOP)  # so that it is not done before
        process.send_signal(signal.SIGKILL)
        process.wait()
        lost = trainings(slurm, training_to_do)
        assert lost  # it lives on
        done = resume(training_to_do, slurm)
    assert done.returncode == 0, done.stdout
    assert f"{lost[0]['id']} (running): rule_train" in done.stdout
    is_complete(training_to_do, undisturbed)
    first, second = submitted(slurm, training_to_do, "Start", "End")
    assert first["End"] <= second["Start"]  # never both


def test_ctrl_c(training_to_do: Project, undisturbed: Project, slurm: Slurm) -> None:
    with training(training_to_do, slurm) as process:
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=300) != 0
        wait_until(lambda: not trainings(slurm, training_to_do))
    assert "stopped by SIGTERM" in history(training_to_do)
    done = type_it(training_to_do, slurm)
    assert done.returncode == 0, done.stdout
    is_complete(training_to_do, undisturbed)


def test_the_controller_is_killed(training_to_do: Project, undisturbed: Project, slurm: Slurm) -> None:
    with training(training_to_do, slurm) as process:
        slurm.control("kill", "slurmctld")
        submission = subprocess.Popen(
            [sys.executable, "-c", WAIT],
            env={**slurm.environment, "PYTHONPATH": str(REPOSITORY / "scripts")},
        )
        time.sleep(40)  # Snakemake asks, and nobody answers
        assert process.poll() is None
        assert submission.poll() is None
        slurm.control("start", "slurmctld")
        assert submission.wait(timeout=60) == 0
        ends_well(process, training_to_do, undisturbed, attempts=1)


def test_a_node_is_drained(training_to_do: Project, undisturbed: Project, slurm: Slurm) -> None:
    """What runs there goes on; what is submitted anew goes elsewhere."""
    with training(training_to_do, slurm) as process:
        job = trainings(slurm, training_to_do)[0]
        slurm.ask("scontrol", "update", f"NodeName={job['node']}", "State=DRAIN", "Reason=test")
        try:
            done = epochs_done(training_to_do)
            wait_until(lambda: epochs_done(training_to_do) > done)
            slurm.ask("scancel", job["id"])
            ends_well(process, training_to_do, undisturbed)
        finally:
            slurm.ask("scontrol", "update", f"NodeName={job['node']}", "State=RESUME")
    assert nodes(slurm, training_to_do) == [job["node"], other(job["node"])]
