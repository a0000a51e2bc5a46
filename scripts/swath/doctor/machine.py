"""This machine: versions, container, disks, weights, locks."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from swath.coordination.lease import claim_of, is_gone
from swath.coordination.process_identity import describe
from swath.coordination.run_registry import live_runs
from swath.doctor.lines import ERROR, FINE, WARNING, Line

PACKAGES = {
    "Snakemake": "snakemake",
    "its SLURM plugin": "snakemake-executor-plugin-slurm",
    "Raster Vision": "rastervision_core",
    "PyTorch": "torch",
    "rasterio": "rasterio",
}
LITTLE = 5e9
"""Bytes; less free than that is worth a warning."""
PATIENCE = 30
"""Seconds that a program of the system gets."""
FEW = 10_000
"""Files that can still be made; fewer are worth a warning."""
LOCK_IN_IMAGE = "/usr/local/share/swath/envs/requirements.lock"
CLEAR = "`make setup` installs what envs/requirements.lock pins"


def versions(lock: Path) -> Iterator[Line]:
    """Compare what is installed with what the lock file pins."""
    pinned = dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock.read_text(), re.MULTILINE))
    pinned = {name.replace("_", "-"): number for name, number in pinned.items()}
    yield Line(FINE, "Python", f"{sys.version.split()[0]}, {sys.executable}")
    for name, package in PACKAGES.items():
        wanted = pinned.get(package.replace("_", "-"), "")
        try:
            found = version(package)
        except PackageNotFoundError:
            yield Line(ERROR, name, "not installed", CLEAR)
            continue
        if wanted and found.partition("+")[0] != wanted.partition("+")[0]:
            yield Line(WARNING, name, f"{found}, but {wanted} is pinned: results can differ", CLEAR)
        else:
            yield Line(FINE, name, found)


def container(image: Path, lock: Path) -> Iterator[Line]:
    """Run the image, and compare what it was built from with the lock file."""
    program = shutil.which("apptainer") or shutil.which("singularity")
    if not program:
        cure = "`module load apptainer`, or run without a container: software-deployment-method: env-modules"
        yield Line(ERROR, "Apptainer", "no program apptainer or singularity", cure)
        return
    yield Line(FINE, "Apptainer", _said(program, "--version"))
    if not image.is_file():
        yield Line(ERROR, "image", f"no file {image}", "`make image`, or copy one there")
        return
    code = "import rastervision.core, torch; print('torch', torch.__version__)"
    done = subprocess.run(
        [program, "exec", str(image), "python", "-c", code], capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        yield Line(ERROR, "image", f"{image} does not run: {last}", "build it anew: `make image`")
        return
    if _said(program, "exec", str(image), "cat", LOCK_IN_IMAGE) != lock.read_text().strip():
        yield Line(WARNING, "image", f"{image} was built from another {lock.name}: results can differ", "`make image`")
    else:
        yield Line(FINE, "image", f"{image}, {done.stdout.strip()}")


def places(folders: Mapping[str, Path]) -> Iterator[Line]:
    """Write into folders, and see how much goes in: bytes, files, and the user's quota."""
    for what, folder in folders.items():
        there = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
        try:
            with tempfile.TemporaryFile(dir=there):
                pass
        except OSError as error:
            yield Line(ERROR, what, f"{folder}: {error.strerror}", "choose another folder, or make room")
            continue
        free, state = shutil.disk_usage(there).free, os.statvfs(there)
        found = f"{folder}: {free / 1e9:.0f} GB free"
        if state.f_files:
            found += f", {state.f_favail:,} more files"
        if free < LITTLE or (state.f_files > 0 and state.f_favail < FEW):
            yield Line(WARNING, what, found, "make room, or link the folder to a larger disk")
        else:
            yield Line(FINE, what, found)
    quotas = {
        "quota": ["quota", "--show-mntpoint", "--hide-device", "--no-wrap"],
        "Lustre quota": ["lfs", "quota", "-q", "-u", getpass.getuser(), str(Path.cwd())],
    }
    for what, command in quotas.items():
        if shutil.which(command[0]) and (told := _said(*command)):
            found = " ".join(told.split())
            if "*" in found:  # so both mark what is used up
                yield Line(WARNING, what, found, "what is marked * is beyond your quota: make room, or ask for more")
            else:
                yield Line(FINE, what, found)


def weights(files: Iterable[Path]) -> Iterator[Line]:
    """Look for first weights, which compute nodes cannot fetch."""
    missing = [path for path in files if not path.exists()]
    if missing:
        cure = "fetch them here, on a node with network: `snakemake --cores 1 weights`"
        yield Line(WARNING, "weights", f"not there: {', '.join(map(str, missing))}", cure)
    else:
        yield Line(FINE, "weights", "all there, or none needed")


def locks(models: Path) -> Iterator[Line]:
    """Look for runs and trainings that are at work here, or were killed."""
    if runs := live_runs():
        cure = "a run that needs what it makes waits for it, and then goes on"
        yield Line(WARNING, "runs", f"at work here: {describe(*runs)}", cure)
    alive = []
    for folder in sorted(models.glob("*/checkpoints/*")):
        found = claim_of(folder)
        if found and not is_gone(found[1]):
            alive.append(f"{folder.parents[1].name} ({describe(found[1])})")
    if alive:
        cure = "none needed: a training that is dead is taken over after 90 s"
        yield Line(WARNING, "trainings", f"running, or killed elsewhere: {', '.join(alive)}", cure)
    if not runs and not alive:
        yield Line(FINE, "locks", "nobody else works here")


def _said(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout.strip()
