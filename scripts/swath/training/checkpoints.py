"""Checkpoints that are complete or not there."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO

from swath.files import temporary_name

LAST, BEST = "last", "best"
log = logging.getLogger("swath.train")


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write a checkpoint under a temporary name beside its target, flush it to the disk, rename it."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Save a checkpoint; see the class."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_name(target)
        try:
            with temporary.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)


def newest_checkpoint(folder: Path) -> Path | None:
    """Find the checkpoint of the latest epoch that can be read; an unreadable one is passed over, loudly."""
    found = sorted(folder.glob(f"{LAST}-*.ckpt"), key=_epoch_of, reverse=True)
    for path in found:
        try:
            torch.load(path, map_location="cpu", weights_only=False)
        except Exception as error:
            log.warning("checkpoint %s cannot be read (%s): going back to the one before", path, error)
            continue
        return path
    return None


def _epoch_of(path: Path) -> int:
    match = re.search(r"(\d+)", path.stem)
    return int(match[1]) if match else -1
