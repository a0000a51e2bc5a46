"""Label rasters: values or colours become class ids on the image's grid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from swath.config.classes import NULL_CLASS_ID
from swath.config.labels import Labels
from swath.errors import Problem, UserError
from swath.scenes.facts import ImageHeader, LabelCounts, LabelFacts, ScenesSpec
from swath.scenes.label_raster import Blanked, Ids, write_ids
from swath.scenes.no_data import NoData
from swath.scenes.paths import is_remote

UNKNOWN = 255  # ids end at 254
EXACT = 0.01
"""Pixels of a label raster by which GDAL's warper may err: exactness takes it ten times as long."""
MOST = 5
"""How many unknown values a message lists."""
MOST_DIFFERENT = 1000
"""How many unknown values are counted: a photograph among label rasters has millions."""
SAME_GRID = 0.01
"""Pixels by which corners of a label raster may lie beside the image's, and count as the same."""


def write_label_raster(
    paths: Sequence[str], spec: ScenesSpec, header: ImageHeader, output: Path, no_data: NoData | None = None
) -> LabelFacts:
    """Write a scene's label rasters as class ids on the image's grid, by nearest neighbour.

    Args:
        paths: The rasters, the last one on top; any CRS and resolution. A raster that names no CRS is taken to be in
            the image's, and one without any place but of the image's size, to lie on it pixel by pixel.
        spec: The stage's spec.
        header: The image's header.
        output: The GeoTIFF to write.
        no_data: Says where the image has no data, if anywhere: nothing is labelled there.

    Raises:
        UserError: For unreadable rasters, values or colours without a class, and rasters without any labelled pixel.
    """
    try:
        return _write(paths, spec, header, output, no_data)
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


def _write(
    paths: Sequence[str], spec: ScenesSpec, header: ImageHeader, output: Path, no_data: NoData | None
) -> LabelFacts:
    labels, classes = spec.labels, spec.classes
    with ExitStack() as stack:
        rasters = [stack.enter_context(_Raster(path, header, bool(labels.colours))) for path in paths]
        reader = _Reader(rasters, labels, classes)
        blanked = Blanked(reader, no_data)
        counts = write_ids(output, header, blanked, len(classes))
    if reader.unknown:
        raise UserError(_unknown(paths, reader.unknown, labels, classes))
    pixels = header.width * header.height
    is_needed = labels.unlabelled == "ignore"
    if is_needed and blanked.hidden and counts[NULL_CLASS_ID] == pixels:
        raise UserError(without_data_under("; ".join(paths)))
    if reader.uncovered == pixels or (is_needed and counts[NULL_CLASS_ID] == pixels):
        raise UserError(_nothing(paths, reader.uncovered == pixels, header))
    kind = "colours" if labels.colours else "mapping"
    names = list(labels.colours or labels.mapping)
    told = LabelCounts(
        met=tuple(sorted(name for name, value in zip(names, _keys(labels), strict=True) if value in reader.met)),
        defaulted={_written(value, kind): count for value, count in sorted(reader.defaulted.items())},
        hidden_pixels=blanked.hidden,
        pages=tuple(raster.path for raster in rasters if raster.pages > 1),
    )
    by_class = {name: int(counts[index]) for index, name in enumerate(classes)}
    return LabelFacts(by_class, outside_labels=reader.uncovered / pixels, counts=told)


class _Reader:
    """Gives the class ids of windows of the image's grid, and notes which values it has met.

    Attributes:
        uncovered: How many pixels no raster covers.
        unknown: Value without a class → pixels.
        defaulted: Value → pixels that the default class took.
        met: Values with a class that pixels have.
    """

    def __init__(self, rasters: Sequence[_Raster], labels: Labels, classes: Sequence[str]):
        self.rasters, self.labels = rasters, labels
        self.unlabelled = labels.unlabelled_id(classes)
        self.known, self.ids = _table(labels, classes, self.unlabelled)
        self.default = classes.index(labels.default_class) if labels.default_class else UNKNOWN
        self.uncovered = 0
        self.unknown: Counter[float] = Counter()
        self.defaulted: Counter[float] = Counter()
        self.met: set[float] = set()

    def __call__(self, window: Window) -> Ids:
        """Give the ids of a window."""
        result = np.full((window.height, window.width), self.unlabelled, np.uint8)
        covered = np.zeros(result.shape, bool)
        for raster in self.rasters:
            values, valid, there = raster.read(window)
            found = self._ids_of(values, valid)
            np.copyto(result, found, where=valid & (found != UNKNOWN))
            covered |= there
        self.uncovered += int(np.count_nonzero(~covered))
        return result

    def _ids_of(self, values: NDArray[np.float64], valid: NDArray[np.bool_]) -> Ids:
        place = np.minimum(np.searchsorted(self.known, values), len(self.known) - 1)
        is_known = self.known[place] == values
        self.met.update(self.known[np.unique(place[is_known & valid])].tolist())
        found = np.where(is_known, self.ids[place], UNKNOWN).astype(np.uint8)
        if self.labels.colour_tolerance:
            _find_near_colours(found, values, self.known, self.ids, self.labels.colour_tolerance)
        lost = valid & (found == UNKNOWN)
        if lost.any():
            several, numbers = np.unique(values[lost], return_counts=True)
            counter = self.unknown if self.default == UNKNOWN else self.defaulted
            counter.update(dict(zip(several.tolist(), numbers.tolist(), strict=True)))
            if len(counter) > MOST_DIFFERENT:
                for value, _ in counter.most_common()[MOST_DIFFERENT:]:
                    del counter[value]
            found[lost] = self.default
        return found


def _keys(labels: Labels) -> list[float]:
    """List the values that have a class, or colours as numbers, in the order of the settings."""
    return [float(int(colour[1:], 16)) for colour in labels.colours] or [_number(value) for value in labels.mapping]


def _table(labels: Labels, classes: Sequence[str], unlabelled: int) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """List values in ascending order with their ids; colours are one number, red × 65536 + green × 256 + blue."""
    names = (labels.colours or labels.mapping).values()
    ids = [classes.index(name) if name else unlabelled for name in names]
    pairs = sorted(zip(_keys(labels), ids, strict=True))
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
        on_grid = own_crs == rasterio.crs.CRS.from_wkt(grid["crs"]) and _lies_on(source, header)
        self.plain = same_size and (source.transform.is_identity or on_grid)
        self.dataset, self.mask = source, None
        self.pages = len(source.subdatasets) if source.driver == "GTiff" else 0
        if self.plain:
            return
        seen = partial(
            WarpedVRT, **grid, src_crs=own_crs, transform=transform, resampling=Resampling.nearest, tolerance=EXACT
        )
        self.dataset = self.stack.enter_context(seen(source))
        self.outline = self.stack.enter_context(seen(_ones(self.stack, source)))
        if any(MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags for flags in source.mask_flag_enums):
            # the warper loses a mask that is neither a value nor a band
            self.mask = self.stack.enter_context(seen(self.stack.enter_context(rasterio.open(_mask_of(source)))))

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
        if self.mask is not None:
            valid &= self.mask.read(1, window=window) > 0
        data = pixels.data
        if self.palette is not None:
            return self.palette[data[0]], valid, there
        if self.colours:
            red, green, blue = data.astype(np.int64)
            return (red * 65536 + green * 256 + blue).astype(np.float64), valid, there
        return data[0].astype(np.float64), valid, there


def _lies_on(source: Any, header: ImageHeader) -> bool:
    """Tell whether a raster's corners are the image's: in pixels, since units of length differ by CRS."""
    onto = ~rasterio.Affine(*header.transform) @ source.transform
    width, height = header.width, header.height
    corners = ((0, 0), (width, 0), (width, height), (0, height))
    moved = [np.subtract(onto @ corner, corner) for corner in corners]
    return bool(np.abs(moved).max() < SAME_GRID)


def _mask_of(source: Any) -> str:
    """Write a virtual raster of a raster's mask: 255 where it is valid."""
    root = Xml.Element("VRTDataset", rasterXSize=str(source.width), rasterYSize=str(source.height))
    if source.crs:
        Xml.SubElement(root, "SRS").text = source.crs.to_wkt()
    Xml.SubElement(root, "GeoTransform").text = ", ".join(map(repr, map(float, source.transform.to_gdal())))
    band = Xml.SubElement(root, "VRTRasterBand", dataType="Byte", band="1")
    element = Xml.SubElement(band, "SimpleSource")
    name = source.name if is_remote(source.name) else str(Path(source.name).absolute())
    Xml.SubElement(element, "SourceFilename", relativeToVRT="0").text = name
    Xml.SubElement(element, "SourceBand").text = "mask,1"
    return Xml.tostring(root, encoding="unicode")


def without_data_under(labels: str) -> Problem:
    """Say that all labels of a scene lie where its image has no data."""
    return Problem(
        "labels_without_data",
        labels,
        "labels",
        "all of them lie where the image has no data",
        "labels of pixels that the model can see",
        "leave the scene out, or check the image's nodata value and `imagery.nodata`",
    )


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
