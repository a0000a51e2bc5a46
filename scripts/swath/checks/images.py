"""Checks of imagery: bands, data types, values, nodata, grids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from swath.checks.context import Survey
from swath.checks.readings import Reading, Sample, Spread, SurveyedImage
from swath.config.imagery import MEASURED, Imagery, Range
from swath.errors import Problem, UserError
from swath.scenes.manifest import channel_order, check_imagery, scaling_text

MOSTLY = 0.9
"""Share without data that is too much."""
SOME = 0.01
"""Share of pixels that is worth a word."""
FAR = 50
"""An outlier is so many times farther from the median than 96 % of the values are apart."""
MUCH_LARGER = 20
"""Ratio of values between scenes that cannot be light and shade alone."""
COARSER = 1.5
"""Ratio of resolutions between scenes."""


def bands_and_types(survey: Survey) -> Iterator[Problem]:
    """Find bands that are not there, and imagery of more than 8 bits without normalisation."""
    headers = [header for _, header in survey.with_header()]
    for settings in survey.settings("imagery") if headers else ():
        try:
            check_imagery(headers, settings.imagery)
        except UserError as error:
            yield from error.problems


def grids(survey: Survey) -> Iterator[Problem]:
    """Find grids that are not north-up."""
    for reading, header in survey.with_header():
        a, b, _, d, e, _ = header.transform
        if abs(b) + abs(d) > 1e-6 * (abs(a) + abs(e)) or a < 0 or e > 0:
            yield Problem(
                "rotated_grid",
                reading.image,
                "transform",
                f"pixel axes ({a:g}, {d:g}) and ({b:g}, {e:g})",
                "a north-up grid: no rotation or shear, rows going south",
                "warp it to a straight grid, for instance with `rio warp`",
            )


def nodata(survey: Survey) -> Iterator[Problem]:
    """Find images without data, and values that count as such or should."""
    for reading, header, sample in survey.with_sample():
        share = sample.nodata
        declared = "none" if header.nodata is None else f"{header.nodata:g}"
        if share == 1:
            yield Problem(
                "all_nodata",
                reading.image,
                "nodata",
                f"no data anywhere in the sample (nodata value {declared})",
                "some pixels with data",
                "take the scene out, or correct the file's nodata value",
            )
        elif share > MOSTLY:
            yield Problem(
                "mostly_nodata",
                reading.image,
                "nodata",
                f"{share:.1%} of the sample without data",
                f"less than {MOSTLY:.0%}",
                "cut the scene to where it has data, or take it out",
            )
        if sample.nan > 0:
            yield Problem(
                "nan_values",
                reading.image,
                "values",
                f"NaN in {sample.nan:.1%} of the sample",
                "",
                "",
            )
        yield from _zeros(reading, header, sample.zero)
        yield from _suspects(reading, sample.suspects)


def _zeros(reading: Reading, header: SurveyedImage, share: float) -> Iterator[Problem]:
    """Zeros mean 'no data' to Raster Vision; whether they do to the user, the nodata value says."""
    if share <= SOME:
        return
    if header.nodata is None:
        yield Problem(
            "zeros",
            reading.image,
            "values",
            f"0 in all bands in {share:.1%} of the sample, no nodata value declared",
            "zeros where there is no data",
            "if so, declare them with `imagery.nodata: 0`: then nothing is labelled there, and maps are empty",
        )
    else:
        yield Problem(
            "zeros_without_data",
            reading.image,
            "values",
            f"0 in all bands in {share:.1%} of the sample, beside the nodata value {header.nodata:g}",
            "no valid pixel that is 0 in all bands: it would count as without data",
            "add an offset to the values",
        )


def _suspects(reading: Reading, suspects: Mapping[str, float]) -> Iterator[Problem]:
    for value, share in suspects.items():
        if share > SOME / 10:
            yield Problem(
                "undeclared_nodata",
                reading.image,
                "nodata",
                f"{value} in {share:.1%} of the sample",
                f"{value} declared as nodata, if it means that",
                f"declare it with `rio edit-info --nodata {value}`",
            )


def transparency(survey: Survey) -> Iterator[Problem]:
    """Find bands of transparency, which the model does not see, and bands that GDAL only takes for it."""
    choices = [settings.imagery.bands for settings in survey.settings("imagery")]
    for reading, header, sample in survey.with_sample():
        for index in header.alpha:
            left_out = None in choices
            if sample.shades > SOME and (left_out or _are_seen(header, index, choices)):
                yield _taken_for_transparency(reading, header, index, sample.shades)
            elif left_out:
                yield Problem("transparency_left_out", reading.image, f"band {index + 1}", "all or nothing", "", "")


def _are_seen(header: SurveyedImage, index: int, choices: Sequence[Sequence[str | int] | None]) -> bool:
    return any(band in (index + 1, header.bands[index]) for bands in choices for band in bands or ())


def _taken_for_transparency(reading: Reading, header: SurveyedImage, index: int, shades: float) -> Problem:
    others = [number for number in range(1, header.count + 1) if number != index + 1]
    marks = ["red", "green", "blue"] if header.count == 4 else ["gray"] * (header.count - 1)
    marks.insert(index, "undefined")
    return Problem(
        "band_taken_for_transparency",
        reading.image,
        f"band {index + 1}",
        f"marked as transparency, but {shades:.0%} of it is neither 0 nor the largest value",
        "no mark on a band of values: it is left out, and where it is 0 there is no data",
        f"near infrared or the like: `rio edit-info --colorinterp {','.join(marks)} {reading.image}`; transparency: "
        f"`imagery.bands: {others}`",
    )


def values(survey: Survey) -> Iterator[Problem]:
    """Find values that the normalisation would squeeze: outliers, wrong ranges, other scales."""
    for reading, header, sample in survey.with_sample():
        bands = [band for band in sample.bands if band]
        if header.dtype != "uint8" and bands:
            top, bottom = max(band.max for band in bands), min(band.min for band in bands)
            if header.dtype.startswith(("uint", "int")) and 1 < top <= 255 and bottom >= 0:
                yield Problem(
                    "eight_bit_values",
                    reading.image,
                    "values",
                    f"{bottom:g} to {top:g} in {header.dtype}",
                    "values that use the data type",
                    "",
                )
        measured = [s.imagery for s in survey.settings("imagery") if s.imagery.normalize in MEASURED]
        seen = sorted({index for imagery in measured for index in _order(header, imagery)})
        yield from _outliers(reading, header, sample, seen)
    for settings in survey.settings("imagery"):
        if isinstance(settings.imagery.normalize, Range):
            yield from _ranges(survey, settings.imagery, settings.imagery.normalize)


def _outliers(reading: Reading, header: SurveyedImage, sample: Sample, seen: Sequence[int]) -> Iterator[Problem]:
    if reading.split != "train" or header.dtype == "uint8" or sample.suspects:
        return
    for index in seen:
        band = sample.bands[index]
        if band is None:
            continue
        usual, far = band.high - band.low, max(band.max - band.median, band.median - band.min)
        if usual > 0 and far > FAR * usual:
            yield Problem(
                "outliers",
                reading.image,
                f"band {index + 1}",
                f"{band.min:g} to {band.max:g}, but 96 % of it from {band.low:g} to {band.high:g}",
                "values that mean ± 3 standard deviations describe",
                "clip them, declare them as nodata, or give `imagery.normalize` a range",
            )


def _ranges(survey: Survey, imagery: Imagery, normalize: Range) -> Iterator[Problem]:
    limits = list(zip(*normalize.limits(), strict=True))
    for reading, header, sample in survey.with_sample():
        bands = _wanted(header, sample, imagery)
        wanted = limits * len(bands) if len(limits) == 1 else limits
        if len(wanted) != len(bands):
            continue  # told by bands_and_types
        there = [(band, low, high) for band, (low, high) in zip(bands, wanted, strict=True) if band]
        if there and all((band.max - low) / (high - low) < 1 / 255 for band, low, high in there):
            top, bottom = max(band.max for band, _, _ in there), min(low for _, low, _ in there)
            yield Problem(
                "range_hides_image",
                reading.image,
                "imagery.normalize",
                f"values up to {top:g}, a range from {bottom:g} on: all become 0, which counts as no data",
                "a range that the values fill",
                "correct it, or take `statistics`",
            )
            continue
        for number, (band, (low, high)) in enumerate(zip(bands, wanted, strict=True), start=1):
            if band and not _fills(band, low, high):
                yield Problem(
                    "range_mismatch",
                    reading.image,
                    "imagery.normalize",
                    f"values from {band.low:g} to {band.high:g} in band {number}, range {low:g} to {high:g}",
                    "a range that the values fill",
                    f"set it near {{min: {band.low:g}, max: {band.high:g}}}, or `statistics`",
                )
                break


def _fills(band: Spread, low: float, high: float) -> bool:
    """Tell whether values take up some of a range, and half of them at least lie in it."""
    covered = (min(band.high, high) - max(band.low, low)) / (high - low)
    return covered >= 0.02 and low <= band.median <= high


def _wanted(header: SurveyedImage, sample: Sample, imagery: Imagery) -> list[Spread | None]:
    """Return the spreads of the bands that the model sees."""
    return [sample.bands[index] for index in _order(header, imagery)]


def _order(header: SurveyedImage, imagery: Imagery) -> list[int]:
    """Return the indices of the bands that the model sees."""
    try:
        return channel_order(header, imagery.bands)
    except UserError:
        return []  # told by bands_and_types


def constant_bands(survey: Survey) -> Iterator[Problem]:
    """Find bands that the model sees and that hold one value, or no data, in all training scenes."""
    training = list(survey.with_sample("train"))
    constant: dict[int, float | None] = {}
    for settings in survey.settings("imagery"):
        for index, bands in _columns(training, settings.imagery):
            values = {value for band in bands for value in (band.min, band.max)}
            if len(values) < 2:
                constant[index] = next(iter(values), None)
    if all(value is None for value in constant.values()) and all(sample.nodata == 1 for _, _, sample in training):
        return  # images without any data are told as such
    for index, value in sorted(constant.items()):
        yield Problem(
            "constant_band",
            training[0][0].image,
            f"band {index + 1}",
            f"{'no data' if value is None else f'{value:g}'} everywhere, in {_scenes(len(training))}",
            "values that differ",
            "leave the band out with `imagery.bands`",
        )


def _columns(
    training: Sequence[tuple[Reading, SurveyedImage, Sample]], imagery: Imagery
) -> Iterator[tuple[int, list[Spread]]]:
    """Go through the bands that the model sees: the index in the first scene, and the spreads where there is data."""
    orders = [_order(header, imagery) for _, header, _ in training]
    for place in range(min(map(len, orders), default=0)):
        bands = [sample.bands[order[place]] for order, (_, _, sample) in zip(orders, training, strict=True)]
        yield orders[0][place], [band for band in bands if band]


def kinds_of_values(survey: Survey) -> Iterator[Problem]:
    """Find values that are numbers of colours, and pages that nobody reads."""
    choices = [settings.imagery for settings in survey.settings("imagery")]
    for reading, header in survey.with_header():
        seen = {index for imagery in choices for index in _order(header, imagery)}
        for index in sorted(seen & set(header.palettes)):
            yield Problem(
                "palette_indices",
                reading.image,
                f"band {index + 1}",
                "values that are numbers of colours in a table",
                "red, green and blue, or brightness",
                "expand it: `gdal_translate -expand rgb`; numbers of classes are labels, not imagery",
            )
        for path in header.paged:
            yield Problem(
                "further_pages",
                path,
                "pages",
                "further pages, which are not read",
                "one image in a file",
                "write the pages as files, for instance with `gdal_translate GTIFF_DIR:2:…`; name them with "
                "`imagery.files: bands`, if they are bands",
            )


def _scalings(survey: Survey) -> Iterator[Problem]:
    """Find scenes whose headers name another scale or offset for a band than most do."""
    for settings in survey.settings("imagery"):
        bands = [
            (reading, [header.scaling[index] for index in _order(header, settings.imagery)])
            for reading, header in survey.with_header()
        ]
        usual = _most_common([tuple(scaling) for _, scaling in bands])
        for reading, scaling in bands:
            other = [i for i, (one, most) in enumerate(zip(scaling, usual, strict=False)) if one != most]
            if other:
                found, expected = (scaling_text(values[other[0]]) for values in (scaling, usual))
                example = next(one.image for one, values in bands if tuple(values) == usual)
                yield Problem(
                    "scaling_differs",
                    reading.image,
                    f"band {other[0] + 1} of those the model sees",
                    found,
                    f"{expected}, as in {example}",
                    "bring all images to one scale and offset: what their headers say is not applied",
                )


def differences(survey: Survey) -> Iterator[Problem]:
    """Find scenes that differ from most in data type, scale, resolution, CRS or order of bands."""
    pairs = list(survey.with_header())
    if len(pairs) < 2:
        return
    yield from _dtypes(pairs)
    yield from _crs(pairs)
    yield from _scales(survey)
    yield from _resolutions(pairs)
    yield from _scalings(survey)
    if any(not _by_name(settings.imagery.bands) for settings in survey.settings("imagery")):
        yield from _band_order(pairs)


def _dtypes(pairs: Sequence[tuple[Reading, SurveyedImage]]) -> Iterator[Problem]:
    usual = _most_common([header.dtype for _, header in pairs])
    for reading, header in pairs:
        if header.dtype != usual:
            yield Problem("dtypes_differ", reading.image, "data type", header.dtype, f"{usual}, as most have", "")


def _crs(pairs: Sequence[tuple[Reading, SurveyedImage]]) -> Iterator[Problem]:
    counts = Counter(header.crs for _, header in pairs)
    if len(counts) > 1:
        odd = next(reading for reading, header in pairs if header.crs != counts.most_common(1)[0][0])
        yield Problem("crs_differs", odd.image, "CRS", f"{len(counts)} different CRS among the scenes", "", "")


def _scales(survey: Survey) -> Iterator[Problem]:
    levels = [
        (reading, max(abs(band.high) for band in sample.bands if band))
        for reading, _, sample in survey.with_sample()
        if any(sample.bands)
    ]
    usual = sorted(level for _, level in levels)[len(levels) // 2] if levels else 0
    for reading, level in levels:
        if min(level, usual) > 0 and max(level / usual, usual / level) > MUCH_LARGER:
            yield Problem(
                "scales_differ",
                reading.image,
                "values",
                f"values up to {level:g}",
                f"values as in the other scenes, up to about {usual:g}",
                "bring all images to one scale",
            )


def _resolutions(pairs: Sequence[tuple[Reading, SurveyedImage]]) -> Iterator[Problem]:
    usual = sorted(header.metres for _, header in pairs)[len(pairs) // 2]
    for reading, header in pairs:
        if max(header.metres / usual, usual / header.metres) > COARSER:
            yield Problem(
                "resolution_differs",
                reading.image,
                "resolution",
                f"pixels of {header.metres:.3g} m",
                f"about {usual:.3g} m, as in the other scenes",
                "resample it",
            )


def _band_order(pairs: Sequence[tuple[Reading, SurveyedImage]]) -> Iterator[Problem]:
    usual = _most_common([header.bands for _, header in pairs])
    for reading, header in pairs:
        names = header.bands
        if not (all(names) and all(usual)) or len(names) != len(usual) or names == usual:
            continue
        moved = any(one != other and one in usual for one, other in zip(names, usual, strict=True))
        # what a file is called says which band it is where others have the same name elsewhere, and else nothing
        other = [i for i, (one, most) in enumerate(zip(names, usual, strict=True)) if one != most]
        if moved or not set(other) <= set(header.named_by_files):
            yield Problem(
                "band_order_differs",
                reading.image,
                "band names",
                ", ".join(map(str, names)),
                ", ".join(usual) + ", as most images have",
                "name the bands in `imagery.bands`"
                if set(names) == set(usual)
                else "give all scenes the same bands, or name those that all have in `imagery.bands`",
            )


def _by_name(bands: Sequence[str | int] | None) -> bool:
    return bands is not None and all(isinstance(band, str) for band in bands)


def _most_common(values: Sequence[Any]) -> Any:
    return Counter(values).most_common(1)[0][0]


def _scenes(number: int) -> str:
    return f"{number} training scene{'s' * (number != 1)}"


CHECKS = (bands_and_types, grids, nodata, transparency, values, constant_bands, kinds_of_values, differences)
