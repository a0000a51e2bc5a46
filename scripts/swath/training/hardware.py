"""What a training runs on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from swath.config.train import Train
from swath.errors import Problem, UserError
from swath.job.gpus import visible_gpus, warn_of_unseen_gpus
from swath.training.upstream import cpu_has_bf16, gpus_have_bf16

FLOATS = {
    "32-true": "32-bit floats",
    "bf16-mixed": "bfloat16 where it does no harm",
    "16-mixed": "16-bit floats where they do no harm",
}
"""Lightning's word for a precision → words."""

log = logging.getLogger("swath.train")


@dataclass(frozen=True)
class Hardware:
    """What a training runs on.

    Attributes:
        accelerator: gpu or cpu.
        precision: Lightning's word for it.
    """

    accelerator: str
    precision: str

    def in_words(self, train: Train, gpus: Sequence[str] = ()) -> str:
        """Say it to a person.

        Args:
            train: The `train` settings.
            gpus: What its GPUs are called; see :func:`gpu_names`.
        """
        threads = f"{train.threads} CPU threads" if train.threads > 1 else "one CPU thread"
        if self.accelerator == "gpu":
            what = " and ".join(gpus) or f"{train.gpus} GPUs"
        else:
            what = f"{train.gpus} processes with {threads} each" if train.gpus > 1 else threads
        return f"{what}, {FLOATS[self.precision]}"


def gpu_names(number: int) -> list[str]:
    """Name the GPUs that a training takes, by number and kind: ``GPU 2 (NVIDIA A100-SXM4-80GB)``.

    Args:
        number: How many it takes.
    """
    given = visible_gpus()
    numbers = given if len(given) >= number and all(name.isdigit() for name in given) else list(map(str, range(number)))
    return [f"GPU {numbers[index]} ({torch.cuda.get_device_name(index)})" for index in range(number)]


def choose_hardware(train: Train) -> Hardware:
    """Take the GPUs asked for, or the CPU where there are none.

    Raises:
        UserError: If there are GPUs, but fewer than asked for.
    """
    visible = torch.cuda.device_count()
    if 0 < visible < train.gpus:
        raise UserError(
            Problem(
                "too_few_gpus",
                "config",
                "train.gpus",
                f"{train.gpus}, on a machine where {visible} can be seen",
                "as many GPUs as asked for",
                "ask for fewer, or for a node with more",
            )
        )
    warn_of_unseen_gpus(visible)
    wanted, words = train.mixed_precision, {"bf16": "bf16-mixed", "fp16": "16-mixed"}
    if wanted == "auto":
        wanted = "bf16" if visible and gpus_have_bf16() else "none"
    if wanted == "none":
        precision = "32-true"
    elif visible or (wanted == "bf16" and cpu_has_bf16()):
        precision = words[wanted]
    else:
        log.info("mixed_precision %s: this CPU would only be slower, computing with 32-bit floats", wanted)
        precision = "32-true"
    return Hardware("gpu" if visible else "cpu", precision)
