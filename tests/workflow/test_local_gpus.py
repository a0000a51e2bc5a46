"""One machine with several GPUs: trainings that run at once get one each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cluster_clone import add_chips, clone
from experiment import SNAKEMAKE, Project, run

pytestmark = pytest.mark.workflow


@pytest.mark.parametrize(("gpus", "given"), [(2, ["0", "1"]), (1, ["0"])])
def test_trainings_share_no_gpu(
    gpus: int, given: list[str], finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CUDA_VISIBLE_DEVICES names GPUs, as on a workstation; torch sees none here, and says which it was given."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(gpus))))
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where the locks are
    project = clone(tmp_path / "swath", finished)
    add_chips(project, finished)
    command = [SNAKEMAKE[0], "--profile", "profiles/local", "--cores", "2", "--resources", f"gpu={gpus}"]
    done = run([*command, "--until", "train"], project.folder)
    assert done.returncode == 0, done.stdout
    logs = [path.read_text() for path in project.results.glob("models/*/train.log")]
    found = [re.findall(r"CUDA_VISIBLE_DEVICES is ([\d,]+), but", log) for log in logs]
    assert len(found) == 2
    assert sorted({device for devices in found for device in devices}) == given
    assert all(len(devices) == 1 for devices in found)
