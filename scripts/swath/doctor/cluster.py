"""The cluster: whether SLURM answers, what it offers, what this experiment's jobs ask for, and what a GPU job sees."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from swath.cluster.queue import jobs_called
from swath.cluster.site import Request, check_requests, read_accounts, read_site
from swath.cluster.slurm import ask
from swath.coordination.run_registry import names_of_dead_runs
from swath.doctor.lines import ERROR, FINE, WARNING, Line, lines_of
from swath.errors import UserError

PATIENCE = 180.0
"""Seconds that the GPU job may wait in the queue."""
LITTLE = 5e9
"""Bytes; less room for temporary files than that is worth a warning."""
LATENCY = 60.0
"""Seconds after which a file that a node has written must be seen here, as the profile says (``latency-wait``)."""
MEMORY, MINUTES = 6000, 5
"""What the GPU job asks for, in MB and minutes: torch alone needs some."""


@dataclass(frozen=True)
class Probe:
    """A job that looks around on a node.

    Attributes:
        resources: What trainings ask for, by Snakemake's names.
        image: The container it runs in; None for this Python.
        container_arguments: Arguments of ``apptainer exec``.
        before: Shell command before anything else.
        scratch: Folder for temporary files, if the profile names one.
        submission: Quality of service and reservation of all jobs, by the executor's names.
    """

    resources: Mapping[str, Any]
    image: Path | None
    container_arguments: str = ""
    before: str = ""
    scratch: Sequence[str] = ()
    submission: Mapping[str, str | None] = field(default_factory=dict)


def slurm(requests: Iterable[Request]) -> Iterator[Line]:
    """Ask SLURM what it is and offers; compare what jobs ask for."""
    try:
        yield Line(FINE, "SLURM", ask("sinfo", "--version").strip())
        site = read_site()
    except UserError as error:
        yield from lines_of("SLURM", error)
        return
    for nodes in site:
        yield Line(FINE, "partition", str(nodes))
    accounts = read_accounts()
    if not accounts:
        yield Line(WARNING, "account", "SLURM does not say which accounts there are: the first job will tell")
    try:
        check_requests(requests, site, accounts)
        asked = sorted(
            {f"{r.rule} → {r.partition or 'default partition'}, {r.account or 'default account'}" for r in requests}
        )
        yield Line(FINE, "requests", "; ".join(asked))
    except UserError as error:
        yield from lines_of("requests", error)


def lost_jobs() -> Iterator[Line]:
    """Find jobs that an earlier run has left in the queue."""
    try:
        lost = jobs_called(names_of_dead_runs())
    except UserError:
        return  # told above
    for job in lost:
        cure = "none needed: the next run cancels it and goes on with its work"
        yield Line(WARNING, "job in the queue", f"{job.id} ({job.state.lower()}): {job.task}", cure)


def gpu_job(probe: Probe) -> Iterator[Line]:
    """Run a real job where trainings run, and tell what it sees."""
    folder = Path(".snakemake/swath-doctor").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    seen, log = folder / "node.json", folder / "node.log"
    seen.unlink(missing_ok=True)
    try:
        number = ask("sh", "-c", submit_command(probe, seen, log)).strip().partition(";")[0]
    except UserError as error:
        said = error.problems[0].found
        yield Line(ERROR, "GPU job", f"SLURM refuses it: {said}", "correct the profile's lines for `train`")
        return
    reason = ""
    try:
        state = _wait_for(number, seen)
        if state == "PENDING":
            reason = ask("squeue", "--noheader", "--jobs", number, "--format", "%r", missing="").strip()
    finally:  # also when somebody has had enough
        ask("scancel", number, missing="")
    if seen.exists():
        yield from what_a_node_has(json.loads(seen.read_text()), wants_gpu(probe.resources))
        return
    if state == "PENDING":
        found = f"not started within {PATIENCE:g} s ({reason})"
        yield Line(WARNING, "GPU job", found, "queue all the same: jobs start when a GPU is free")
        return
    last = (log.read_text().strip().splitlines() or ["it said nothing"])[-1] if log.exists() else "it left no log here"
    cure = f"see {log}: a `precommand` of the profile that fails there, or a node that does not see this folder"
    yield Line(ERROR, "GPU job", f"{state.lower() or 'ended'}: {last}", cure)


def submit_command(probe: Probe, seen: Path, log: Path) -> str:
    """Write the sbatch line for a shell, with the executor's own functions: what a training would be given."""
    from snakemake_executor_plugin_slurm.submit_string import get_submit_command
    from snakemake_executor_plugin_slurm.utils import set_gres_string

    resources = _Resources(probe.resources, runtime=MINUTES, mem_mb=MEMORY)
    job = SimpleNamespace(resources=resources, threads=1, is_group=bool)
    account, partition = (resources.get(f"slurm_{name}") for name in ("account", "partition"))
    params = {
        "run_uuid": "swath-doctor",
        "slurm_logfile": str(log),
        "comment_str": "doctor",
        "account": f"-A {shlex.quote(str(account))}" if account else "",
        "partition": f"-p {shlex.quote(str(partition))}" if partition else "",
        "workdir": str(Path.cwd()),
    }
    settings = {"requeue": False, "no_requeue": True, "qos": None, "reservation": None, **probe.submission}
    call = get_submit_command(job, params, SimpleNamespace(**settings))
    script = Path(__file__).with_name("node.py")
    look = shlex.join(["python" if probe.image else sys.executable, str(script), str(seen)])
    if probe.image:
        image = shlex.quote(str(probe.image))
        binds = "".join(f"--bind {shlex.quote(folder)} " for folder in probe.scratch)  # only the node may have them
        program = "`command -v apptainer || command -v singularity`"
        look = f"{program} exec {probe.container_arguments} {binds}{image} {look}"
    scratch = [f"mkdir -p {folder} && export TMPDIR={folder}" for folder in map(shlex.quote, probe.scratch)]
    on_the_node = " && ".join([*scratch, look]).replace("`", "\\`")
    before = f"{probe.before} && " if probe.before else ""
    return f'{call}{set_gres_string(job)} --wrap="{before}{on_the_node}"'  # quoted as the executor does


class _Resources(dict[str, Any]):
    """Resources as a job has them: by key and by attribute."""

    def __getattr__(self, name: str) -> Any:
        return self.get(name)


def wants_gpu(resources: Mapping[str, Any]) -> bool:
    """Tell whether resources ask for a GPU, in whichever of the ways."""
    said = f"{resources.get('gres') or ''} {resources.get('slurm_extra') or ''}"
    return bool(resources.get("gpu") or resources.get("gpu_model") or "gpu" in said)


def _wait_for(number: str, seen: Path) -> str:
    """Wait until a job has written its file, or is over, or patience with the queue is; its last state."""
    end, state = time.monotonic() + PATIENCE, "PENDING"
    while time.monotonic() < end and not seen.exists():
        told = ask("squeue", "--noheader", "--states", "all", "--jobs", number, "--format", "%T", missing="").strip()
        if state == "PENDING" and told not in ("", "PENDING"):  # from now on it is SLURM that ends it
            end = time.monotonic() + 60 * MINUTES + PATIENCE
        state = told or state  # a controller that does not answer once says nothing
        if state not in ("PENDING", "RUNNING", "CONFIGURING", "COMPLETING"):
            _wait_for_file(seen, LATENCY if state == "COMPLETED" else 2)
            break
        time.sleep(1)
    return state


def _wait_for_file(file: Path, seconds: float) -> None:
    """Wait for a file that a shared file system may show late; listing its folder has it look."""
    end = time.monotonic() + seconds
    while file not in file.parent.iterdir() and time.monotonic() < end:
        time.sleep(1)


def what_a_node_has(node: Mapping[str, Any], wants_gpus: bool) -> Iterator[Line]:
    """Judge what a job saw on a node."""
    where = node["node"] or node["host"]
    yield Line(
        FINE,
        "GPU job" if node["node"] else "jobs",
        f"ran on {where}, torch {node['torch']}, CUDA_VISIBLE_DEVICES={node['visible']}",
    )
    free = f"{node['temporary']} on {where}: {node['temporary_free'] / 1e9:.0f} GB free"
    if node["temporary_free"] < LITTLE:
        yield Line(WARNING, "temporary files", free, "set `tmpdir` in the profile to a larger disk of the nodes")
    else:
        yield Line(FINE, "temporary files", free)
    if node["gpus"]:
        names = ", ".join(f"{gpu['name']} ({gpu['memory'] / 1e9:.0f} GB)" for gpu in node["gpus"])
        yield Line(FINE, "GPU", f"{names}, driver {node['driver'] or 'unknown'}, CUDA {node['cuda']}")
    elif not wants_gpus:
        yield Line(FINE, "GPU", "none asked for: trainings run on the CPU")
    elif not node["cuda"]:
        cure = "install a torch with CUDA, or build the image anew; meanwhile trainings run on the CPU, slowly"
        yield Line(WARNING, "GPU", f"torch {node['torch']} is built without CUDA", cure)
    else:
        told = node["problem"] or "no GPU is seen"
        yield Line(ERROR, "GPU", f"{told} (torch with CUDA {node['cuda']})", _cure_of_driver(node))


def _cure_of_driver(node: Mapping[str, Any]) -> str:
    """Say what to do on a node whose GPU torch does not see."""
    driver = node["driver"]
    if not driver:
        return (
            'no working NVIDIA driver is seen: in a container that takes apptainer-args: "--nv" in the profile; '
            "otherwise the node has none, so ask for another partition"
        )
    known, wanted = (node[name].partition(".")[0] for name in ("driver_cuda", "cuda"))  # no driver runs a later one
    if not known or int(known) >= int(wanted):
        return (
            f"driver {driver} is there: look at CUDA_VISIBLE_DEVICES, and ask for other nodes; `nvidia-smi` tells more"
        )
    return (
        f"driver {driver} is too old: ask for other nodes, or pin an older torch in envs/requirements.in "
        "(torch 2.8.0, torchvision 0.23.0 and numpy 1.26.4 go together), then `make lock setup image`"
    )
