"""Input as first weights know it: which of their bands is which, and what they expect of the values.

A network sees values of 0..1: 8 bits over 255. Where `imagery.normalize` made those 8 bits, 0 and 255 stand for two
values of the image; with them, what weights expect of the image's values becomes what their network's first layer does.
"""

from __future__ import annotations

import logging
import zipfile

import numpy as np

from swath.files import read_json
from swath.networks.catalogue import channels_for
from swath.rv.networks import InputScaling
from swath.scenes.analyze import STANDARD_DEVIATIONS
from swath.scenes.manifest import channel_order
from swath.training.job import TrainingJob
from swath.training.weight_files import expected_by_bundle

log = logging.getLogger("swath.train")


def expected_input(job: TrainingJob) -> InputScaling | None:
    """Say what the network's first layer has to do for its first weights; None where they expect nothing known.

    A trial, or a bundle, that has such a layer hands it on: its weights know no other input.
    """
    if job.weights is None:
        return None
    if not job.starts_with_named_weights:
        return _expected_by_bundle(job) if job.weights.suffix == ".zip" else None
    expected = read_json(job.weights.with_suffix(".json"))["expected"]
    channels = channels_of(job)
    mean, std = (np.array(expected[name])[channels] for name in ("mean", "std"))
    low, high = _edges(job, len(channels), expected["scale"])
    span = (high - low) * expected["scale"]
    return InputScaling(
        mean=[float(value) for value in (mean - low * expected["scale"]) / span],
        std=[float(value) for value in std / span],
    )


def _expected_by_bundle(job: TrainingJob) -> InputScaling | None:
    assert job.weights is not None
    try:
        expects = expected_by_bundle(job.weights)
    except (OSError, ValueError, zipfile.BadZipFile):  # told when its weights are read
        return None
    bands = len(_bands(job))
    if expects is None or len(expects["mean"]) == bands:
        return None if expects is None else InputScaling(**expects)
    log.warning(
        "%s: the first weights expect %d bands, scaled; %d are taken as they are", job.name, len(expects["mean"]), bands
    )
    return None


def channels_of(job: TrainingJob) -> list[int]:
    """Say which of the bands that the first weights know stands for each band of the imagery, 0-based."""
    assert job.weights is not None
    known = tuple(read_json(job.weights.with_suffix(".json"))["expected"]["bands"])
    return channels_for(_bands(job), known)


def tell_channels(job: TrainingJob) -> list[int]:
    """The same, and tell it, since names can be missing."""
    assert job.weights is not None
    known = read_json(job.weights.with_suffix(".json"))["expected"]["bands"]
    channels = channels_of(job)
    pairs = zip(_bands(job), channels, strict=True)
    said = ", ".join(f"{band or f'band {place}'} as {known[channel]}" for place, (band, channel) in enumerate(pairs, 1))
    log.info("%s: the first weights see %s", job.name, said)
    return channels


def _bands(job: TrainingJob) -> tuple[str | None, ...]:
    scene = job.scenes[0]
    return tuple(scene.bands[index] for index in channel_order(scene, job.options.imagery.bands))


def _edges(job: TrainingJob, bands: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Give the values of the image that become 0 and 1, per band.

    Weights that know 8-bit images alone (`scale` 1/255) take other images as they are normalised.
    """
    eight_bits = np.zeros(bands), np.full(bands, 255.0)
    if not job.options.stats or scale > 1e-3:
        return eight_bits
    if job.scenes[0].dtype == "uint8" and job.options.imagery.normalize == "statistics":
        return eight_bits  # Raster Vision leaves them as they are
    statistics = read_json(job.options.stats)
    means, stds = (np.broadcast_to(np.array(statistics[name], float), (bands,)) for name in ("means", "stds"))
    return means - STANDARD_DEVIATIONS * stds, means + STANDARD_DEVIATIONS * stds
