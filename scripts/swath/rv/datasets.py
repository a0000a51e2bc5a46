"""The datasets that Raster Vision has put together."""

from __future__ import annotations

from typing import Any

from torch.utils.data import ConcatDataset


def parts_of(dataset: Any) -> list[Any]:
    """List the datasets that Raster Vision has put together."""
    if isinstance(dataset, ConcatDataset):
        return [part for whole in dataset.datasets for part in parts_of(whole)]
    return [dataset]
