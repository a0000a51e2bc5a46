"""Hostile files: no code in them is run, and nothing is written outside of the folder that they are unpacked to."""

from __future__ import annotations

import io
import os
import pickle
import runpy
import shutil
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from experiment import REPOSITORY
from rastervision.pytorch_learner.learner import BUNDLE_MODEL_WEIGHTS_FILENAME
from safetensors.torch import save as save_safetensors

from swath.errors import UserError
from swath.files import unzip, write_json
from swath.job.temporary import OWNER, PREFIX, own_temporary_folder
from swath.networks.definition import problems_of_definition
from swath.training import weight_files
from swath.training.checkpoints import CheckpointFolder, Position
from swath.training.weight_files import read_weights


class Calls:
    """A pickle that calls something when it is loaded."""

    def __init__(self, function: Callable[..., Any], *arguments: Any):
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def hostile(tmp_path: Path) -> list[Any]:
    """Contents that would write a file, by one way each."""
    done = str(tmp_path / "executed")
    code = f"open({done!r}, 'w').close()"
    return [
        Calls(os.system, f"touch {done}"),
        Calls(exec, code),
        Calls(eval, code),
        Calls(subprocess.call, ["touch", done]),
        Calls(Path(done).touch),
        Calls(runpy._run_code, code, {}),
    ]


def old_pickle(content: Any, path: Path) -> None:
    path.write_bytes(pickle.dumps(content))


def old_torch(content: Any, path: Path) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


def torch_zip(content: Any, path: Path) -> None:
    torch.save(content, path)


def beside_weights(content: Any, path: Path) -> None:
    torch.save({"state_dict": {"weight": torch.ones(2)}, "callbacks": content}, path)


def in_a_bundle(content: Any, path: Path) -> None:
    inner = io.BytesIO()
    torch.save(content, inner)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(BUNDLE_MODEL_WEIGHTS_FILENAME, inner.getvalue())


WAYS = {
    "pickle.pth": old_pickle,
    "old.pt": old_torch,
    "zip.pth": torch_zip,
    "beside.ckpt": beside_weights,
    "bundle.zip": in_a_bundle,
    "pickle.safetensors": old_pickle,
}


@pytest.mark.parametrize("number", range(6))
def test_the_contents_are_hostile(number: int, tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(hostile(tmp_path)[number]))
    assert (tmp_path / "executed").exists()


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("number", range(6))
def test_weights_run_no_code(name: str, number: int, tmp_path: Path) -> None:
    WAYS[name](hostile(tmp_path)[number], tmp_path / name)
    with pytest.raises(UserError, match="weights_unreadable"):
        read_weights(tmp_path / name)
    assert not (tmp_path / "executed").exists()


def test_checkpoints_run_no_code(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    torch.save({"state_dict": {}}, folder.last(Position(1, 0)))
    for number, content in enumerate(hostile(tmp_path)):
        torch.save({"swath": content}, folder.last(Position(2 + number, 0)))
    newest = folder.newest()
    assert newest
    assert newest[0] == folder.last(Position(1, 0))
    assert not (tmp_path / "executed").exists()


def test_a_header_of_safetensors_that_promises_more_than_there_is(tmp_path: Path) -> None:
    whole = save_safetensors({"weight": torch.ones(2)})
    for content in (struct.pack("<Q", 2**62) + whole[8:], whole[:-4], whole.replace(b"[0,8]", b"[0,9]")):
        (tmp_path / "a.safetensors").write_bytes(content)
        with pytest.raises(UserError, match="weights_unreadable"):
            read_weights(tmp_path / "a.safetensors")


# --- zips ---------------------------------------------------------------------------------------------


def link_to(name: str, target: str) -> tuple[zipfile.ZipInfo, str]:
    entry = zipfile.ZipInfo(name)
    entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return entry, target


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ([("../outside", "x")], "leads out"),
        ([("a/../../outside", "x")], "leads out"),
        ([("/tmp/outside", "x")], "leads out"),
        ([("..\\outside", "x")], "leads out"),
        ([link_to("inside", ".."), ("inside/outside", "x")], "is a link"),
        ([link_to("model.pth", "/etc/passwd")], "is a link"),
    ],
)
def test_a_zip_writes_nothing_outside(entries: list[tuple[Any, str]], found: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w") as archive:
        for name, content in entries:
            archive.writestr(name, content)
    with pytest.raises(UserError, match="zip_refused") as raised:
        unzip(tmp_path / "bundle.zip", tmp_path / "unpacked")
    assert found in str(raised.value)
    assert [path.name for path in tmp_path.rglob("*")] == ["bundle.zip"]


def lying_zip(path: Path, name: str, content: bytes, promised: int) -> None:
    """Write a zip whose headers promise another size than the entry has."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    raw = path.read_bytes()
    path.write_bytes(raw.replace(struct.pack("<I", len(content)), struct.pack("<I", promised)))


def test_a_zip_that_holds_more_than_its_header_promises(tmp_path: Path) -> None:
    lying_zip(tmp_path / "bundle.zip", "a", b"0" * 3_000_001, promised=10)
    with pytest.raises(UserError, match="result_damaged"):
        unzip(tmp_path / "bundle.zip", tmp_path / "unpacked")
    assert sum(path.stat().st_size for path in (tmp_path / "unpacked").rglob("*")) <= 10


def test_a_zip_for_which_there_is_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lying_zip(tmp_path / "bundle.zip", "a", b"0" * 3_000_001, promised=2**32 - 2)
    room = shutil.disk_usage(tmp_path)._replace(free=10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: room)
    with pytest.raises(UserError, match=r"4\.3 GB when unpacked, where 1\.0 GB are free"):
        unzip(tmp_path / "bundle.zip", tmp_path / "unpacked")
    assert not (tmp_path / "unpacked").exists()


@pytest.mark.parametrize("name", ["weights.pth", "bundle.zip"])
def test_weights_for_which_there_is_no_memory(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(BUNDLE_MODEL_WEIGHTS_FILENAME, b"0" * 3_000_000)
    available = weight_files.psutil.virtual_memory()._replace(available=2_000_000)
    monkeypatch.setattr(weight_files.psutil, "virtual_memory", lambda: available)
    with pytest.raises(UserError, match="GB of memory are free"):
        read_weights(tmp_path / name)


# --- links in a definition --------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["../secret", "/etc", "../beside", "inside/../../secret"])
def test_a_definition_takes_nothing_from_outside(target: str, tmp_path: Path) -> None:
    folder = tmp_path / "definition"
    (folder / "inside").mkdir(parents=True)
    (tmp_path / "beside").mkdir()
    (tmp_path / "secret").write_text("secret")
    (folder / "hubconf.py").write_text("def network(): ...")
    (folder / "inside" / "a.py").symlink_to("../hubconf.py")
    assert list(problems_of_definition(str(folder), "network", "my.yaml:3")) == []
    (folder / "weights").symlink_to(target)
    (problem,) = problems_of_definition(str(folder), "network", "my.yaml:3")
    assert problem.code == "link_leads_out"
    assert str(folder / "weights") in problem.found


# --- temporary files ----------------------------------------------------------------------------------

JOB = """
import os, sys, tempfile, time
sys.path.insert(0, {scripts!r})
from pathlib import Path
from swath.job.temporary import own_temporary_folder
with own_temporary_folder():
    Path(tempfile.mkdtemp(), "large").write_text("x")
    print(os.environ["TMPDIR"], flush=True)
    if sys.argv[1:]:
        time.sleep(60)
"""


def test_nothing_stays_among_temporary_files_not_even_after_a_kill(tmp_path: Path) -> None:
    command = [sys.executable, "-c", JOB.format(scripts=str(REPOSITORY / "scripts"))]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([*command, "wait"], env=environment, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout
        folder = Path(killed.stdout.readline().strip())
        assert folder.parent == tmp_path
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        living = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        assert not Path(living.stdout.strip()).exists()
        assert folder.exists()  # its owner lives
        killed.kill()
    assert folder.exists()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert list(tmp_path.iterdir()) == []


def test_raster_vision_keeps_what_it_fetches_where_nobody_else_can_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rastervision.pipeline import rv_config_

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with own_temporary_folder() as folder:
        assert Path(rv_config_.get_cache_dir()) == folder / "cache"
    assert not folder.exists()
    assert tempfile.tempdir is None


def test_folders_of_others_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead = {"host": socket.gethostname(), "pid": 2**22 + 1, "started": 1.0, "slurm_job": None}
    elsewhere, linked, nobodys = (tmp_path / f"{PREFIX}{name}" for name in ("a", "b", "c"))
    write_json(elsewhere / OWNER, {**dead, "host": "elsewhere"})
    write_json(tmp_path / "precious" / OWNER, dead)
    linked.symlink_to(tmp_path / "precious")
    nobodys.mkdir()
    with own_temporary_folder():
        pass
    assert {path.name for path in tmp_path.iterdir()} == {elsewhere.name, linked.name, nobodys.name, "precious"}
    assert (tmp_path / "precious" / OWNER).exists()
