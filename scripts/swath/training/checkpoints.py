"""Checkpoints that are complete or not there, and of which one older than the newest is always kept."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO

from swath.coordination.lease import is_held
from swath.errors import Problem, UserError
from swath.files import temporary_name

KEPT = 2
"""Checkpoints that are kept: the newest and, in case it is damaged, the one before."""

Checkpoint = dict[str, Any]
"""What Lightning saves of a training: weights, optimizer, where its loops stand, and under `swath` the history."""

log = logging.getLogger("swath.train")


class Position(NamedTuple):
    """Where training stands: finished epochs, and steps done in the one after them."""

    epoch: int
    step: int

    def in_words(self) -> str:
        """Say it to a person."""
        return f"after {self.epoch} epochs" + (f" and {self.step} steps of the next" if self.step else "")


class DurableCheckpointIO(TorchCheckpointIO):
    """Write a checkpoint under a temporary name beside its target, flush it to the disk, rename it, read it back.

    Args:
        check: Called before anything is written and again before the rename; raises when this process may not write.
    """

    def __init__(self, check: Callable[[], None] = lambda: None):
        self.check = check

    def save_checkpoint(self, checkpoint: Checkpoint, path: Any, storage_options: Any = None) -> None:
        """Save a checkpoint; see the class."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_name(target)
        self.check()
        try:
            with temporary.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            self.check()
            os.replace(temporary, target)
            _flush_directory(target.parent)
        finally:
            temporary.unlink(missing_ok=True)


class CheckpointFolder:
    """The checkpoints of one training: ``last-<epochs>-<steps>.ckpt`` and ``best-<epoch>.ckpt``.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path):
        self.path = path

    def last(self, position: Position) -> Path:
        """Name the checkpoint of a position."""
        return self.path / f"last-{position.epoch:05d}-{position.step:07d}.ckpt"

    def best(self, epoch: int) -> Path:
        """Name the weights of an epoch that was the best so far; epochs count from 1."""
        return self.path / f"best-{epoch:05d}.ckpt"

    def newest(self, clean: bool = True) -> tuple[Path, Checkpoint] | None:
        """Find and load the newest checkpoint that is whole; damaged ones are passed over, loudly.

        Args:
            clean: Whether damaged ones are put out of the way: the owner's business.
        """
        for path in reversed(self._positions()):
            damage = damage_of(path)
            if not damage:
                try:  # no code in it is run
                    return path, torch.load(path, map_location="cpu", weights_only=True)
                except pickle.UnpicklingError as error:
                    damage = f"not what a training writes: {str(error.__context__ or error).splitlines()[0]}"
            log.warning("checkpoint %s is damaged (%s): going back to the one before", path, damage)
            if clean:
                path.rename(path.with_suffix(".damaged"))
        return None

    def write(self, path: Path, save: Callable[[Path], None]) -> None:
        """Write a checkpoint and prove that it can be read.

        Raises:
            OSError: If what was written is not what can be read.
        """
        save(path)
        damage = damage_of(path) if path.is_file() else None  # of several processes, one writes
        if damage:
            path.unlink()
            raise OSError(f"{path} was written, but cannot be read back: {damage}")

    def read_best(self, epoch: int) -> dict[str, torch.Tensor]:
        """Load the weights of the best epoch.

        Raises:
            UserError: If they are damaged.
        """
        path = self.best(epoch)
        damage = damage_of(path) if path.is_file() else "missing"
        if damage:
            raise UserError(
                Problem(
                    "checkpoint_damaged",
                    str(path),
                    "",
                    damage,
                    "the best weights",
                    f"remove {self.path}: the model is trained anew",
                )
            )
        weights: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        return weights

    def tidy(self, best_after: Callable[[int], int | None]) -> None:
        """Remove what no interruption can need any more: old checkpoints, surpassed best weights, torn files.

        Args:
            best_after: Which epoch was the best after so many, if one was: what a checkpoint of then relies on.
        """
        positions = self._positions()
        for path in positions[:-KEPT]:
            path.unlink(missing_ok=True)
        kept = (int(path.stem.split("-")[1]) for path in positions[-KEPT:])
        needed = {self.best(epoch) for epoch in map(best_after, kept) if epoch}
        for path in set(self.path.glob("best-*.ckpt")) - needed:
            path.unlink(missing_ok=True)
        for path in self.path.glob(".*.tmp.ckpt"):
            path.unlink(missing_ok=True)

    def _positions(self) -> list[Path]:
        """List the checkpoints by position."""
        found = (path for path in self.path.glob("last-*.ckpt") if re.fullmatch(r"last-\d+-\d+", path.stem))
        return sorted(found)


def remove_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of trainings that are done; not those of one that somebody still works on.

    Args:
        folder: A model's `checkpoints/`, with a folder for every fingerprint.
    """
    for training in folder.iterdir() if folder.is_dir() else ():
        if training.is_dir() and not is_held(training):
            shutil.rmtree(training, ignore_errors=True)
    with contextlib.suppress(OSError):  # not there, or one of them is in use
        folder.rmdir()


def damage_of(path: Path) -> str | None:
    """Say what is wrong with a checkpoint, None if its every byte is as it was written (by the checksums in it)."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torn headers lead zipfile to any of the errors below
    except (
        zipfile.BadZipFile,
        EOFError,
        ValueError,
        NotImplementedError,
    ) as error:
        return str(error) or "cut off"
    return f"{damaged} is damaged" if damaged else None


def _flush_directory(folder: Path) -> None:
    """Make a rename survive a power cut, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
