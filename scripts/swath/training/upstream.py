"""Where training reaches into Lightning (2.6.6) and torch; tests/unit/test_training_upstream.py says when it can go."""

from __future__ import annotations

from typing import Any

import torch

from swath.patches import replace


def leave_signals_alone(trainer: Any) -> None:
    """Keep Lightning from setting handlers of signals when it begins to train.

    Its own would end a training that gets SIGTERM at once, with exit code 0 and without a checkpoint. No setting turns
    them off.
    """
    replace(getattr(trainer, "_signal_connector", None), "register_signal_handlers", _nothing)


def _nothing() -> None:
    """Do nothing."""


def gpus_have_bf16() -> bool:
    """Tell whether all visible GPUs compute in bfloat16 by themselves; torch also says so of those that imitate it."""
    return all(torch.cuda.get_device_capability(gpu) >= (8, 0) for gpu in range(torch.cuda.device_count()))


def cpu_has_bf16() -> bool:
    """Tell whether the CPU computes in bfloat16; torch knows, but says so in functions that are not public."""
    checks = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    return any(check() for check in checks if check)
