"""Are new images like those that a model was trained on? Asked before anything is predicted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from swath.checks.findings import Finding, PreflightError, judged, tally, text_of
from swath.checks.preflight import Read, read_in_a_process
from swath.checks.readings import Reading, Sample, Spread, SurveyedImage
from swath.config.apply import Apply
from swath.config.imagery import Imagery
from swath.config.labels import Labels
from swath.config.tasks import DETECTION, SEGMENTATION
from swath.errors import Problem, UserError, did_you_mean
from swath.plan.apply import ApplyPlan
from swath.scenes.facts import ScenesSpec
from swath.scenes.grids import place_on, shift_of
from swath.scenes.manifest import band_name, channel_order, check_imagery, scaling_text
from swath.scenes.scene import Scene
from swath.scenes.trained_on import BundledModel, read_bundle, resolved_window

NEAR = 1.25
"""By which factor pixels may be larger or smaller than those of the training scenes."""
FAR = 4.0
"""Standard deviations from the mean of the training scenes that a median may lie away."""
LARGE, SPARSE = 2e9, 20
"""Pixels of a mosaic that are too many if they are so many times those of its images."""
NARROW, WIDE = 1 / 20, 60
"""How far apart the 2nd and 98th percentile of values may be, at least and at most, in standard deviations."""


@dataclass(frozen=True)
class NewImages:
    """Images that models are to be applied to.

    Attributes:
        settings: The section `apply`.
        models: The models; one, or several whose scores are averaged.
        readings: What was read of the images.
    """

    settings: Apply
    models: Sequence[BundledModel]
    readings: Sequence[Reading]


def spec_to_read(settings: Apply) -> ScenesSpec:
    """Say how images are read: as the stage `scenes` would, without labels."""
    imagery = Imagery(files=settings.files, nodata=settings.nodata)
    return ScenesSpec(SEGMENTATION, [], imagery, Labels(default_class="none"))


def check_before(plan: ApplyPlan, bundles: Sequence[str], read: Read = read_in_a_process) -> str:
    """Check a map before anything is computed.

    Args:
        plan: The map's plan.
        bundles: The models' bundles, as far as they are there.
        read: Reads images.

    Returns:
        What to say when nothing stops the run.

    Raises:
        PreflightError: If there are errors, or warnings that are not allowed; all of them are in it.
        UserError: For bundles that cannot be used.
    """
    return check_and_tell(plan.images, plan.settings, bundles, plan.allow, read)


def check_and_tell(
    images: Sequence[Scene], settings: Apply, bundles: Sequence[str], allow: Sequence[str], read: Read
) -> str:
    """Check new images as :func:`check_before` does; they are read by ``read``."""
    models = [read_bundle(bundle) for bundle in bundles if Path(bundle).exists()]
    readings = read([replace(image, aoi=settings.aoi) for image in images], {"": spec_to_read(settings)})
    found = NewImages(settings, models, readings)
    findings = check_new_images(found, allow)
    summary = f"Checked {len(readings)} new images: {tally(findings)}."
    details = text_of(findings)
    if any(finding.stops for finding in findings):
        raise PreflightError(findings, f"{details}\n\n{summary}")
    return "\n\n".join(text for text in (details, f"{summary} {_estimate(found)}") if text)


def _estimate(images: NewImages) -> str:
    """Say how much there is to predict, and how much room it may take."""
    headers = [reading.header for reading in images.readings if reading.header is not None]
    pixels = sum(header.width * header.height for header in headers)
    text = f"{pixels / 1e6:,.1f} million pixels"
    if not images.models:
        return f"{text}."
    window = resolved_window(images.models[0], images.settings.predict)
    windows = sum(-(-header.width // window.stride) * -(-header.height // window.stride) for header in headers)
    bands = 2 + (len(images.models[0].classes) - 1 if window.scores else 0) + bool(window.uncertainty)
    room = 2 * bands * pixels / 1e9  # of the parts and of the map, before they are compressed
    return f"{text}, about {windows:,} windows; less than {max(room, 0.1):,.1f} GB on disk."


def check_new_images(images: NewImages, allow: Sequence[str]) -> list[Finding]:
    """Run all checks.

    Args:
        images: The images and models.
        allow: Warnings that the config allows.
    """
    read = list(_told_by_reading(images.readings))
    problems = list(_models(images.models))
    for model in images.models[:1]:  # several have to be alike
        problems += _of_model(model, images.settings)
        for reading in images.readings:
            if reading.header is not None:
                problems += _of_image(model, images.settings, reading, reading.header)
    problems += _together(images)
    return judged([*read, *problems], allow)


def _told_by_reading(readings: Sequence[Reading]) -> Iterator[Problem]:
    """Go through what reading has met; an area of interest need not touch all images, but one."""
    outside = [problem for reading in readings for problem in reading.problems if problem.code == "aoi_outside"]
    for reading in readings:
        yield from (problem for problem in reading.problems if problem.code != "aoi_outside")
    if outside and len(outside) == len(readings):
        yield replace(outside[0], field="apply.aoi")


def _models(models: Sequence[BundledModel]) -> Iterator[Problem]:
    """Find models that cannot be averaged: they must see the same, and say it in the same classes."""
    first = models[0] if models else None
    for other in models[1:]:
        assert first is not None
        alike = {
            "task": (other.task, first.task),
            "classes": (other.classes, first.classes),
            "bands": (other.bands, first.bands),
            "statistics of the imagery": (other.statistics, first.statistics),
            "window": (other.window.chip_size, first.window.chip_size),
        }
        for name, (found, wanted) in alike.items():
            if found != wanted:
                cure = "apply them one by one, or take repeats of one trial"
                yield Problem(
                    "models_differ", other.path, name, _shown(found), f"{_shown(wanted)}, as in {first.path}", cure
                )
                break
    if len(models) > 1 and first and first.task == DETECTION:
        cure = "name one of them"
        yield Problem(
            "models_differ", first.path, "task", "boxes, which have no mean", "scores of pixels or cells", cure
        )


def _shown(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text if len(text) < 100 else text[:99] + "…"


def _of_model(model: BundledModel, settings: Apply) -> Iterator[Problem]:
    if model.description is None:
        found = "a bundle of Raster Vision's own, which does not say what its training scenes were like"
        expected = "images like those: neither pixel size nor type, CRS and nodata can be compared"
        yield Problem("plain_bundle", model.path, "apply.model", found, expected, "")
    yield from _window(model, settings)
    unknown = [name for name in settings.polygons.classes or () if name not in model.classes[1:]]
    for name in unknown:
        expected, cure = "one of " + ", ".join(model.classes[1:]), did_you_mean(name, model.classes[1:])
        yield Problem("unknown_class", "config", "apply.polygons.classes", f"unknown class {name!r}", expected, cure)


def _window(model: BundledModel, settings: Apply) -> Iterator[Problem]:
    """Find windows that leave pixels out, or that the network cannot halve often enough."""
    window = resolved_window(model, settings.predict)
    if window.stride > window.chip_size:
        expected, cure = f"no more than the window ({window.chip_size}): pixels would be left out", "make it smaller"
        yield Problem("windows_apart", "config", "apply.predict.stride", str(window.stride), expected, cure)
    crop = settings.predict.crop
    most = (window.chip_size - window.stride) // 2
    if model.task == SEGMENTATION and crop != "auto" and crop > most:
        expected = f"no more than {most}, half of what windows overlap: pixels would be left out"
        yield Problem("windows_apart", "config", "apply.predict.crop", str(crop), expected, "make it smaller")
    if window.chip_size % model.divisor:
        nearest = max(round(window.chip_size / model.divisor), 1) * model.divisor
        expected = f"a size divisible by {model.divisor}, for {model.network}"
        found = str(window.chip_size)
        yield Problem("window_not_divisible", "config", "apply.predict.chip_size", found, expected, f"try {nearest}")


def _of_image(model: BundledModel, settings: Apply, reading: Reading, header: SurveyedImage) -> Iterator[Problem]:
    a, b, _, d, e, _ = header.transform
    if abs(b) + abs(d) > 1e-6 * (abs(a) + abs(e)):
        found, expected = f"pixel axes ({a:g}, {d:g}) and ({b:g}, {e:g})", "a grid without rotation or shear"
        cure = "warp it to a straight grid, for instance with `rio warp`"
        yield Problem("rotated_image", reading.image, "transform", found, expected, cure)
    try:
        order = channel_order(header, model.wanted_bands(settings.bands))
    except UserError as error:
        yield from (replace(problem, cure="name the bands in `apply.bands`") for problem in error.problems)
        return
    if model.channels is not None and len(order) != model.channels:
        found = f"{len(order)} bands"
        cure = "name the bands in `apply.bands`, in the model's order" + _trained_bands(model)
        yield Problem(
            "bands_missing", reading.image, "apply.bands", found, f"{model.channels}, as the model sees", cure
        )
        return
    yield from _types(model, reading, header)
    if model.description is not None:
        yield from _unlike(model, settings, reading, header, order)
    if reading.sample is not None:
        yield from _values(model, reading, header, reading.sample, order)


def _trained_bands(model: BundledModel) -> str:
    names = model.description.trained_on.bands if model.description else ()
    return f" ({', '.join(map(str, names))})" if names and all(names) else ""


def _types(model: BundledModel, reading: Reading, header: SurveyedImage) -> Iterator[Problem]:
    if model.description is None:
        return
    imagery, known = model.description.imagery, model.description.trained_on.dtypes
    if header.dtype in known:
        return
    expected = f"{' or '.join(known)}, as in training"
    if imagery.normalize == "statistics" and "uint8" in (header.dtype, *known):
        cure = "bring the images to that type, with the values that the model knows"
        yield Problem("mixed_pixel_types", reading.image, "pixel type", header.dtype, expected, cure)
        return
    try:
        check_imagery([header], Imagery(normalize=imagery.normalize))
    except UserError as error:
        yield from (problem for problem in error.problems if problem.code == "needs_normalisation")
    yield Problem("other_pixel_type", reading.image, "pixel type", header.dtype, expected, "")


def _unlike(
    model: BundledModel, settings: Apply, reading: Reading, header: SurveyedImage, order: Sequence[int]
) -> Iterator[Problem]:
    """Compare an image's header with those of the training scenes."""
    assert model.description is not None
    known = model.description.trained_on
    smallest, largest = known.metres
    if not smallest / NEAR <= header.metres <= largest * NEAR:
        size = f"{smallest:.3g} m" if largest < smallest * 1.01 else f"{smallest:.3g} to {largest:.3g} m"
        cure = "resample it to that size, for instance with `rio warp --resampling bilinear --res`"
        yield Problem(
            "other_pixel_size", reading.image, "pixel size", f"{header.metres:.3g} m", f"{size}, as in training", cure
        )
    if header.crs not in known.crs:
        expected = ", ".join(dict.fromkeys(map(_crs_name, known.crs))) + " in training"
        yield Problem("other_crs", reading.image, "CRS", _crs_name(header.crs), expected, "")
    names = [band_name(header, index) if header.bands[index] else None for index in order]
    by_name = any(isinstance(band, str) for band in model.wanted_bands(settings.bands) or ())
    if settings.bands is None and not by_name and all(names) and all(known.bands) and tuple(names) != known.bands:
        found, expected = (", ".join(map(str, bands)) for bands in (names, known.bands))
        cure = "name the bands in `apply.bands`, in the order of training"
        yield Problem("other_bands", reading.image, "band names", found, f"{expected}, as in training", cure)
    scaling = tuple(header.scaling[index] for index in order)
    if scaling != known.scaling:
        index = next(i for i, pair in enumerate(zip(scaling, known.scaling, strict=True)) if pair[0] != pair[1])
        cure = "bring the image to the scale and offset of the training scenes: neither is applied"
        yield Problem(
            "other_scaling",
            reading.image,
            f"band {names[index] or index + 1}",
            scaling_text(scaling[index]),
            f"{scaling_text(known.scaling[index])}, as in training",
            cure,
        )
    declares = any(value is not None for value in header.nodata_of_bands) or header.masked or header.alpha
    sample = reading.sample
    if known.nodata and not declares and settings.nodata is None and sample is not None:
        held = sorted(value for value in known.nodata if _holds(sample, value))
        if held:
            expected = f"nodata {held[0]}, as in training, which the image holds as a value"
            cure = f"set `apply.nodata: {held[0]}`, or declare it in the file"
            yield Problem("other_nodata", reading.image, "nodata", "none declared", expected, cure)


def _holds(sample: Sample, nodata: str) -> bool:
    """Tell whether a value that means no data is at the end of all bands' values."""
    value = float(nodata)
    bands = [band for band in sample.bands if band is not None]
    return bool(bands) and all(value in (band.min, band.max) for band in bands)


def _values(
    model: BundledModel, reading: Reading, header: SurveyedImage, sample: Sample, order: Sequence[int]
) -> Iterator[Problem]:
    """Compare an image's values with the statistics that the model's imagery is normalised with."""
    if len(model.statistics) != len(order):
        return
    pairs = [(index, sample.bands[index], known) for index, known in zip(order, model.statistics, strict=True)]
    there = [(index, band, mean, deviation) for index, band, (mean, deviation) in pairs if band and deviation > 0]
    far = [one for one in there if _is_far(*one[1:])]
    if len(far) * 2 > len(there):
        index, band, mean, deviation = far[0]
        others = f"; {len(far) - 1} more bands" if len(far) > 1 else ""
        found = f"{band.low:g} to {band.high:g}, median {band.median:g}, in band {band_name(header, index)}{others}"
        expected = f"{mean - 2 * deviation:g} to {mean + 2 * deviation:g}, as in training"
        cure = "bring the image to the values that the model knows: the same product, level, scale and offset"
        yield Problem("other_values", reading.image, "values", found, expected, cure)


def _is_far(band: Spread, mean: float, deviation: float) -> bool:
    spread = (band.high - band.low) / deviation
    return abs(band.median - mean) > FAR * deviation or spread > WIDE or (0 < spread < NARROW)


def _together(images: NewImages) -> Iterator[Problem]:
    """Say what becomes of images that do not fit into one mosaic as they are."""
    headers = [(reading, reading.header) for reading in images.readings if reading.header is not None]
    if not images.settings.mosaic or len(headers) < 2:
        return
    yield from _too_large(images.settings, [header for _, header in headers])
    first, grid = headers[0]
    for reading, header in headers[1:]:
        if place_on(header, grid) is None:
            how = "its pixels are put on the mosaic's grid by nearest neighbour" if _is_moved(header, grid) else ""
            found = f"{_difference(header, grid)}: windows at its edge do not see the first image"
            expected = f"the grid and bands of {first.image}"
            found += f", {how}" if how else ""
            yield Problem("mosaic_apart", reading.image, "apply.mosaic", found, expected, "")


def _is_moved(header: SurveyedImage, first: SurveyedImage) -> bool:
    size = max(header.width, header.height, first.width, first.height)
    return header.crs != first.crs or shift_of(header.transform, first.transform, size) is None


def _difference(header: SurveyedImage, first: SurveyedImage) -> str:
    """Say what keeps an image from being read as one with the first."""
    if header.crs != first.crs:
        return f"another CRS ({_crs_name(header.crs)})"
    if any(abs(header.transform[i] - first.transform[i]) > 1e-6 * abs(first.transform[0]) for i in (0, 1, 3, 4)):
        return "another pixel size"
    if _is_moved(header, first):
        return "a grid that is shifted by a part of a pixel"
    return "another data type, or other bands"


def _too_large(settings: Apply, headers: Sequence[SurveyedImage]) -> Iterator[Problem]:
    """Find mosaics that would hold next to nothing: of images that lie far apart."""
    boxes = [header.bounds for header in headers]
    west, south = min(box[0] for box in boxes), min(box[1] for box in boxes)
    east, north = max(box[2] for box in boxes), max(box[3] for box in boxes)
    covered = sum(abs(box[2] - box[0]) * (box[3] - box[1]) for box in boxes)
    pixels = sum(header.width * header.height for header in headers)
    whole = pixels * (east - west) * (north - south) / covered if covered else pixels
    if whole > LARGE and whole > SPARSE * pixels:
        found = f"about {whole / 1e9:,.0f} billion pixels, for images of {pixels / 1e9:,.2f} billion"
        cure = "set `apply.mosaic: false`, or map them one area at a time"
        yield Problem("mosaic_too_large", "config", "apply.mosaic", found, "images that lie next to one another", cure)


def _crs_name(wkt: str) -> str:
    """Name a CRS by what stands first between quotation marks in its WKT."""
    return (wkt.split('"')[1] if '"' in wkt else wkt)[:60]
