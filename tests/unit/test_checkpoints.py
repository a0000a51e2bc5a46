"""Checkpoints that are whole, of which the one before is kept until the newest can be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from swath.coordination.lease import leased
from swath.errors import UserError
from swath.training.checkpoints import CheckpointFolder, DurableCheckpointIO, Position, remove_checkpoints


def write(folder: CheckpointFolder, epoch: int, step: int = 0, content: Any = None) -> Path:
    """Write a checkpoint as training does; its content says where it stands."""
    path = folder.last(Position(epoch, step))
    state = {"position": (epoch, step)} if content is None else content
    folder.write(path, lambda place: DurableCheckpointIO().save_checkpoint(state, place))
    return path


def names(folder: CheckpointFolder) -> list[str]:
    return sorted(path.name for path in folder.path.iterdir())


def test_a_checkpoint_is_whole_or_not_there(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    write(folder, 1)
    with pytest.raises(Exception, match=r"pickle|local"):
        write(folder, 2, content={"x": lambda: 0})
    assert names(folder) == ["last-00001-0000000.ckpt"]


def test_training_goes_on_from_the_furthest_position(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    assert folder.newest() is None
    for epoch, step in ((2, 0), (10, 0), (9, 300), (10, 20)):
        write(folder, epoch, step)
    newest = folder.newest()
    assert newest
    assert newest[1] == {"position": (10, 20)}


def flip_a_bit(content: bytes) -> bytes:
    """Damage a number in the middle of a tensor."""
    place = content.index(b"0123456789" * 10) + 50
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b[:200] + b"\0" * 300, flip_a_bit]
)
def test_a_damaged_checkpoint_is_passed_over_loudly(
    damage: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = CheckpointFolder(tmp_path)
    write(folder, 3)
    newest = write(folder, 4, content={"x": torch.frombuffer(bytearray(b"0123456789" * 40), dtype=torch.uint8)})
    newest.write_bytes(damage(newest.read_bytes()))
    found = folder.newest()
    assert found
    assert found[1] == {"position": (3, 0)}
    assert "is damaged" in caplog.text
    assert "last-00004" in caplog.text


def test_a_checkpoint_that_cannot_be_read_back_costs_nothing_that_is_older(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = CheckpointFolder(tmp_path)
    write(folder, 1)
    write(folder, 2)
    folder.tidy(lambda epochs: 1)
    monkeypatch.setattr(torch, "save", lambda content, file: file.write(b"the disk has lost it"))
    with pytest.raises(OSError, match="cannot be read back"):
        write(folder, 3)
    monkeypatch.undo()
    newest = folder.newest()
    assert newest
    assert newest[1] == {"position": (2, 0)}


def test_tidying_keeps_two_checkpoints_and_the_best_weights_they_rely_on(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    for epoch in (1, 2, 3, 4):
        write(folder, epoch)
        DurableCheckpointIO().save_checkpoint({}, folder.best(epoch))
    (tmp_path / ".last-00005-0000000.1234abcd.tmp.ckpt").write_bytes(b"torn")
    folder.tidy({2: 1, 3: 1, 4: 3}.get)
    assert names(folder) == [
        "best-00001.ckpt",
        "best-00003.ckpt",
        "last-00003-0000000.ckpt",
        "last-00004-0000000.ckpt",
    ]


def test_who_may_not_write_writes_nothing(tmp_path: Path) -> None:
    def lost() -> None:
        raise RuntimeError("taken over")

    with pytest.raises(RuntimeError, match="taken over"):
        DurableCheckpointIO(lost).save_checkpoint({}, tmp_path / "last-00001-0000000.ckpt")
    assert not list(tmp_path.iterdir())


def test_a_file_system_that_fails_for_a_moment_costs_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = CheckpointFolder(tmp_path)
    write(folder, 1)

    def fails(*_: Any, **__: Any) -> None:
        raise OSError("stale file handle")

    monkeypatch.setattr(torch, "load", fails)
    with pytest.raises(OSError, match="stale"):
        folder.newest()
    monkeypatch.undo()
    assert folder.newest()


def test_damaged_best_weights_are_told_with_the_cure(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    DurableCheckpointIO().save_checkpoint({"x": torch.ones(3)}, folder.best(2))
    assert folder.read_best(2)["x"].tolist() == [1, 1, 1]
    folder.best(2).write_bytes(folder.best(2).read_bytes()[:-50])
    for epoch in (2, 3):
        with pytest.raises(UserError, match="the model is trained anew"):
            folder.read_best(epoch)


def test_the_checkpoints_of_a_training_that_is_done_are_removed_and_those_of_one_that_goes_on_are_not(
    tmp_path: Path,
) -> None:
    for name in ("done", "running"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "last-00001-0000000.ckpt").write_text("weights")
    with leased(tmp_path / "done"):
        pass
    with leased(tmp_path / "running"):
        remove_checkpoints(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["running"]
    remove_checkpoints(tmp_path)
    assert not tmp_path.exists()
    remove_checkpoints(tmp_path)
