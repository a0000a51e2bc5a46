"""Seeds for everything that is random."""

from __future__ import annotations

import random

import numpy as np
import torch

from swath.files import short_hash


def mixed_seed(*parts: int | str) -> int:
    """Mix integers and words into one 32-bit seed."""
    return int(short_hash(list(parts), 8), 16)


def seed_torch(seed: int) -> None:
    """Seed torch on the CPU and on the GPU in use.

    ``torch.manual_seed`` does the same, and notes the call with its stack for every kind of device that is not in use,
    which takes half a millisecond and memory that is never given back.
    """
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed(seed)


def seed_everything(seed: int) -> None:
    """Seed torch, numpy and random."""
    seed_torch(seed)
    np.random.seed(seed)
    random.seed(seed)
