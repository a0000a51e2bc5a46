"""Label rasters: values or colours become class ids on the image's grid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from swath.config.classes import NULL_CLASS_ID
from swath.config.labels import Labels
from swath.errors import Problem, UserError
from swath.scenes.facts import ImageHeader, LabelFacts, ScenesSpec
from swath.scenes.label_raster import Ids, write_ids

UNKNOWN = 255  # ids end at 254
EXACT = 0.01
"""Pixels of a label raster by which GDAL's warper may err: exactness takes it ten times as long."""
MOST = 5
"""How many unknown values a message lists."""


def write_label_raster(paths: Sequence[str], spec: ScenesSpec, header: ImageHeader, output: Path) -> LabelFacts:
    """Write a scene's label rasters as class ids on the image's grid, by nearest neighbour.

    Args:
        paths: The rasters, the last one on top; any CRS and resolution. A raster that names no CRS is taken to be in
            the image's, and one without any place but of the image's size, to lie on it pixel by pixel.
        spec: The stage's spec.
        header: The image's header.
        output: The GeoTIFF to write.

    Raises:
        UserError: For unreadable rasters, values or colours without a class, and rasters without any labelled pixel.
    """
    try:
        return _write(paths, spec, header, output)
    except rasterio.errors.RasterioError as error:
        cure = "check the file; vector labels need `labels.attribute` or `labels.default_class` alone"
        raise UserError(
            Problem(
                "labels_unreadable",
                "; ".join(paths),
                "labels",
                " ".join(str(error).split()),
                "a raster that GDAL reads",
                cure,
            )
        ) from None


def _write(paths: Sequence[str], spec: ScenesSpec, header: ImageHeader, output: Path) -> LabelFacts:
    labels, classes = spec.labels, spec.classes
    unlabelled = labels.unlabelled_id(classes)
    known, ids = _table(labels, classes, unlabelled)
    default = classes.index(labels.default_class) if labels.default_class else UNKNOWN
    unknown: Counter[float] = Counter()
    uncovered = 0
    with ExitStack() as stack:
        rasters = [stack.enter_context(_Raster(path, header, bool(labels.colours))) for path in paths]

        def ids_of(window: Window) -> Ids:
            nonlocal uncovered
            result = np.full((window.height, window.width), unlabelled, np.uint8)
            covered = np.zeros(result.shape, bool)
            for raster in rasters:
                values, valid, there = raster.read(window)
                place = np.minimum(np.searchsorted(known, values), len(known) - 1)
                found = np.where(known[place] == values, ids[place], UNKNOWN).astype(np.uint8)
                if labels.colour_tolerance:
                    _find_near_colours(found, values, known, ids, labels.colour_tolerance)
                found[found == UNKNOWN] = default
                lost = valid & (found == UNKNOWN)
                if lost.any():
                    several, numbers = np.unique(values[lost], return_counts=True)
                    unknown.update(dict(zip(several.tolist(), numbers.tolist(), strict=True)))
                np.copyto(result, found, where=valid & ~lost)
                covered |= there
            uncovered += int(np.count_nonzero(~covered))
            return result

        counts = write_ids(output, header, ids_of, len(classes))
    if unknown:
        raise UserError(_unknown(paths, unknown, labels, classes))
    pixels = header.width * header.height
    if uncovered == pixels or (labels.unlabelled == "ignore" and counts[NULL_CLASS_ID] == pixels):
        raise UserError(_nothing(paths, uncovered == pixels, header))
    return LabelFacts(
        {name: int(counts[index]) for index, name in enumerate(classes)}, outside_labels=uncovered / pixels
    )


def _table(labels: Labels, classes: Sequence[str], unlabelled: int) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """List values in ascending order with their ids; colours are one number, red × 65536 + green × 256 + blue."""
    keys = [float(int(colour[1:], 16)) for colour in labels.colours] or [_number(value) for value in labels.mapping]
    names = (labels.colours or labels.mapping).values()
    pairs = sorted((key, classes.index(name) if name else unlabelled) for key, name in zip(keys, names, strict=True))
    return np.array([value for value, _ in pairs], np.float64), np.array([index for _, index in pairs], np.uint8)


def _find_near_colours(
    found: NDArray[np.uint8],
    values: NDArray[np.float64],
    known: NDArray[np.float64],
    ids: NDArray[np.uint8],
    tolerance: int,
) -> None:
    """Give pixels of an unknown colour the id of the nearest one, in place, where no channel differs by more."""
    unknown = found == UNKNOWN
    colours, where = np.unique(values[unknown], return_inverse=True)
    if len(colours):
        distances = np.abs(_channels(colours)[:, None] - _channels(known)[None]).max(axis=2)
        near = np.where(distances.min(axis=1) <= tolerance, ids[distances.argmin(axis=1)], UNKNOWN)
        found[unknown] = near[where]


def _channels(colours: NDArray[np.float64]) -> NDArray[np.int64]:
    """Split colour numbers into red, green and blue."""
    numbers = colours.astype(np.int64)
    return np.stack([numbers >> 16, numbers >> 8 & 255, numbers & 255], axis=-1)


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise UserError(
            Problem(
                "mapping_not_a_number",
                "config",
                f"labels.mapping.{value}",
                f"{value!r} without `labels.attribute`: the mapping of a label raster",
                "a number",
                "give the raster's values, or the `attribute` of vector labels",
            )
        ) from None


class _Raster:
    """A label raster, seen on the image's grid."""

    def __init__(self, path: str, header: ImageHeader, colours: bool):
        self.path, self.header, self.colours = path, header, colours
        self.stack = ExitStack()

    def __enter__(self) -> _Raster:
        try:
            self._open()
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def _open(self) -> None:
        source = self.stack.enter_context(rasterio.open(self.path))
        self.palette = self._palette(source)
        self.bands = [1, 2, 3] if self.colours and self.palette is None else [1]
        header = self.header
        grid = {"width": header.width, "height": header.height, "crs": header.crs}
        transform = rasterio.Affine(*header.transform)
        same_size = (source.width, source.height) == (grid["width"], grid["height"])
        if source.transform.is_identity and not same_size:
            size = f"{source.width} × {source.height} pixels and no geotransform"
            expected = f"a geotransform, or the image's {grid['width']} × {grid['height']} pixels"
            raise UserError(Problem("no_georeference", self.path, "labels", size, expected, "georeference the raster"))
        own_crs = source.crs or rasterio.crs.CRS.from_wkt(grid["crs"])
        on_grid = own_crs == rasterio.crs.CRS.from_wkt(grid["crs"]) and source.transform.almost_equals(transform)
        self.plain = same_size and (source.transform.is_identity or on_grid)
        self.dataset = source
        if not self.plain:
            self.dataset = self.stack.enter_context(
                WarpedVRT(
                    source, **grid, src_crs=own_crs, transform=transform, resampling=Resampling.nearest, tolerance=EXACT
                )
            )
            self.outline = self.stack.enter_context(
                WarpedVRT(
                    _ones(self.stack, source),
                    **grid,
                    src_crs=own_crs,
                    transform=transform,
                    resampling=Resampling.nearest,
                    tolerance=EXACT,
                )
            )

    def _palette(self, source: Any) -> NDArray[np.float64] | None:
        """Return the palette as colour numbers by value, where colours stand in one band with a palette.

        Raises:
            UserError: For colours wanted of a raster without, and the other way round.
        """
        bands = sum(meaning != ColorInterp.alpha for meaning in source.colorinterp)
        if not self.colours:
            if bands > 1:
                expected, cure = "one band of values", "give the colours' classes in `labels.colours`"
                raise UserError(
                    Problem("label_raster_kind", self.path, "labels.mapping", f"{bands} bands", expected, cure)
                )
            return None
        if bands >= 3:
            return None
        if source.colorinterp[0] != ColorInterp.palette:
            expected, cure = "red, green and blue, or a palette", "give the values' classes in `labels.mapping`"
            raise UserError(
                Problem("label_raster_kind", self.path, "labels.colours", "one band without a palette", expected, cure)
            )
        table = np.zeros(256)
        for value, (red, green, blue, _) in source.colormap(1).items():
            table[value] = red << 16 | green << 8 | blue
        return table

    def read(self, window: Window) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        """Read a window of the image's grid.

        Returns:
            Values or colour numbers, whether they are valid, and whether the raster is there at all.
        """
        pixels = self.dataset.read(self.bands, window=window, masked=True)
        there = np.ones(pixels.shape[1:], bool) if self.plain else self.outline.read(1, window=window) > 0
        valid = there & ~np.ma.getmaskarray(pixels).all(axis=0) & np.isfinite(pixels.data).all(axis=0)
        data = pixels.data
        if self.palette is not None:
            return self.palette[data[0]], valid, there
        if self.colours:
            red, green, blue = data.astype(np.int64)
            return (red * 65536 + green * 256 + blue).astype(np.float64), valid, there
        return data[0].astype(np.float64), valid, there


def _ones(stack: ExitStack, source: Any) -> Any:
    """Make a raster of ones that lies where a raster lies: what it looks like on another grid is the outline."""
    memory = stack.enter_context(rasterio.MemoryFile())
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "width": source.width, "height": source.height}
    profile |= {"crs": source.crs, "transform": source.transform, "tiled": True, "compress": "deflate"}
    with memory.open(**profile) as dataset:
        for _, window in dataset.block_windows(1):
            dataset.write(np.ones((1, window.height, window.width), np.uint8), window=window)
    return stack.enter_context(memory.open())


def _unknown(paths: Sequence[str], unknown: Counter[float], labels: Labels, classes: Sequence[str]) -> Problem:
    kind = "colours" if labels.colours else "mapping"
    listed = [f"{_written(value, kind)} ({count:,} pixels)" for value, count in unknown.most_common(MOST)]
    more = f" and {len(unknown) - MOST} more" if len(unknown) > MOST else ""
    near = ", or a `labels.colour_tolerance` for compressed rasters" if labels.colours else ""
    example = f'"{_written(unknown.most_common(1)[0][0], kind)}": <class>'
    return Problem(
        "unknown_class",
        "; ".join(paths),
        f"labels.{kind}",
        ("unknown colours " if labels.colours else "unknown values ") + ", ".join(listed) + more,
        "one of " + ", ".join(classes[1:]) + " for every one",
        f"add them to `labels.{kind}` ({example}, or null to ignore it), or give `labels.default_class`{near}",
    )


def _written(value: float, kind: str) -> str:
    return f"#{int(value):06x}" if kind == "colours" else f"{value:g}"


def _nothing(paths: Sequence[str], outside: bool, header: ImageHeader) -> Problem:
    bounds = ", ".join(f"{value:.5f}" for value in header.bounds)
    if outside:
        found, expected = "nothing inside the image", f"labels within {bounds} (EPSG:4326)"
        return Problem("labels_outside", "; ".join(paths), "labels", found, expected, "check the file and its CRS")
    cure = "leave the scene out, or say what unlabelled means with `labels.unlabelled`"
    return Problem("labels_empty", "; ".join(paths), "labels", "no labelled pixel", "at least one", cure)
