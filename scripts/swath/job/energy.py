"""What a GPU has used: the counter of joules that NVIDIA's driver keeps for every device since it was loaded.

The driver's library (NVML) is asked directly: it is there wherever a GPU can be used, and needs no package. Nothing is
known of devices that have no counter (before Volta) or that are a share of one (MIG): the counter is the whole
device's.
"""

from __future__ import annotations

import contextlib
import ctypes
import uuid
from collections.abc import Iterator, Sequence

LIBRARY = "libnvidia-ml.so.1"
MIG_ENABLED = 1


def joules_of(names: Sequence[str]) -> float | None:
    """Return what some GPUs have used together since the driver was loaded; None where one of them does not say.

    Args:
        names: As CUDA_VISIBLE_DEVICES names them: numbers, or ``GPU-…``.
    """
    if not names or any(name.startswith("MIG") for name in names):
        return None
    with _library() as library:
        found = [_joules(library, name) for name in names] if library else [None]
    known = [value for value in found if value is not None]
    return sum(known) if len(known) == len(found) else None


@contextlib.contextmanager
def _library() -> Iterator[ctypes.CDLL | None]:
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        yield None
        return
    if library.nvmlInit_v2():
        yield None
        return
    try:
        yield library
    finally:
        library.nvmlShutdown()


def _joules(library: ctypes.CDLL, name: str) -> float | None:
    device = ctypes.c_void_p()
    if name.isdigit():
        failed = library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(int(name)), ctypes.byref(device))
    else:
        failed = library.nvmlDeviceGetHandleByUUID(_whole_name(name).encode(), ctypes.byref(device))
    mode, pending, used = ctypes.c_uint(), ctypes.c_uint(), ctypes.c_ulonglong()
    if failed:
        return None
    if not library.nvmlDeviceGetMigMode(device, ctypes.byref(mode), ctypes.byref(pending)) and (
        mode.value == MIG_ENABLED
    ):
        return None
    if library.nvmlDeviceGetTotalEnergyConsumption(device, ctypes.byref(used)):
        return None
    return used.value / 1000  # it counts thousandths


def _whole_name(name: str) -> str:
    """Write a device's name as the driver does."""
    with contextlib.suppress(ValueError):
        return f"GPU-{uuid.UUID(name.removeprefix('GPU-'))}"
    return name
