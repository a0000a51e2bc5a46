"""What a scene's files hold, in checksums: all it stands on, beside the named files and behind them.

Standard library only: needed when Snakemake plans. A checksum is computed once and remembered with size, times and
inode of its file, so that planning reads nothing but folders; another date, a copy, a clone change no checksum.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import time
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from functools import partial
from itertools import islice, takewhile
from pathlib import Path
from xml.etree import ElementTree as Xml

from swath.files import sha256, short_hash, write_json
from swath.scenes.paths import is_remote, paths_of
from swath.scenes.scene import Scene

REMEMBERED = Path(".snakemake/swath-checksums.json")
"""Checksums by file, with what `stat` says of the file that had it."""
LARGE = 2**23
"""Bytes from which on a plan goes by size and time alone; the stage `scenes` reads the whole file."""
SETTLED = 2.0
"""Seconds after which a file counts as written: within the clock's last tick it could change and look the same."""

BESIDE = re.compile(
    r"(\.(aux|aux\.xml|msk|ovr|rrd|ige|wld|[a-z0-9]{1,4}w|[a-z]{2}wx|prj|qpj|hdr|stx|clr|rpb|rpc|imd|pvl|rsc"
    r"|shx|dbf|cpg|cst|dat|map|id|ind|mid|tab|gfs|xsd|csvt|vat\.dbf|vat\.cpg)|_rpc\.txt|-wal|-journal)",
    re.IGNORECASE,
)
"""What follows a file's name, whole or without its ending, in the names of those that GDAL reads with it."""
SOURCE_TAGS = ("SourceFilename", "SourceDataset", "SrcDataSource")
"""Where a virtual raster or vector file names what it consists of."""
ARCHIVES = ("/vsizip/", "/vsitar/", "/vsigzip/", "/vsi7z/", "/vsirar/", "zip://", "tar://", "gzip://")

Stat = list[int]


class Files:
    """Looks up what scenes stand on: lists every folder once, and computes checksums that are not remembered."""

    def __init__(self, leave_out: Collection[str] = (), remembered: Path | None = REMEMBERED):
        """Begin with what is remembered.

        Args:
            leave_out: Named files that are not looked at, because a rule has yet to make them.
            remembered: Where checksums are remembered; None to remember none.
        """
        self._leave_out = leave_out
        self._memory = remembered
        self._known: dict[str, tuple[Stat, str]] = _read(remembered) if remembered else {}
        self._folders: dict[str, list[str]] = {}
        self._behind: dict[str, list[str]] = {}
        self._new = False

    def of(self, entry: str | None) -> list[str]:
        """List the files that an entry of the scene table stands for, those beside them and behind them, by name."""
        found: dict[str, None] = {}
        for path in paths_of(entry):
            if path not in self._leave_out:
                found |= dict.fromkeys(self._all_of(path))
        return sorted(found)

    def state(self, scenes: Iterable[Scene]) -> str:
        """Hash what some scenes' files hold: small files by content, large ones by size and time."""
        names = {entry for scene in scenes for entry in (scene.image, scene.labels, scene.aoi) if entry}
        files = sorted({file for entry in names for file in self.of(entry)})
        return short_hash([(file, self._state(file)) for file in files])

    def checksums(self, entry: str | None, overviews: bool = True) -> dict[str, str]:
        """Return the SHA-256 of all files of an entry; none of what can change no result.

        Args:
            entry: The entry of the scene table.
            overviews: Whether files of overviews count.
        """
        wanted = [file for file in self.of(entry) if overviews or not file.lower().endswith(".ovr")]
        found = {file: self.checksum(file) for file in wanted}
        return {file: checksum for file, checksum in found.items() if checksum}

    def remember(self) -> None:
        """Write down what is new; where nothing can be written, it is computed again."""
        if self._memory and self._new:
            with contextlib.suppress(OSError):
                write_json(self._memory, _read(self._memory) | self._known)
                self._new = False

    def _state(self, file: str) -> str:
        size, time_ns = _stat(file)[:2]
        return self.checksum(file) if size <= LARGE else f"{size}-{time_ns}"

    def checksum(self, file: str) -> str:
        """Return the SHA-256 of one file, computed anew only where the file may have changed."""
        now = _stat(file)
        before, checksum = self._known.get(file, ([], ""))
        if before != now:
            checksum = _checksum_of_metadata(file) if file.lower().endswith(".aux.xml") else sha256(file)
            if time.time() - max(now[1:3]) / 1e9 > SETTLED and _stat(file) == now:
                self._known[file] = (now, checksum)
                self._new = True
        return checksum

    def _all_of(self, path: str) -> list[str]:
        """List a file, those beside it, and those behind any of them."""
        found = dict.fromkeys(self._beside(path))
        sources = _sources(path)
        place = os.path.realpath(path) if sources else path
        if sources and place not in self._behind:
            self._behind[place] = []  # a virtual raster that names itself, or one that names it, ends here
            self._behind[place] = [file for source in sources for file in self._all_of(source)]
        return list(found | dict.fromkeys(self._behind.get(place, ())))

    def _beside(self, path: str) -> Iterator[str]:
        local = _archive_of(path) if is_remote(path) else path
        place = Path(local or "")
        if local is None or not place.exists():
            return
        if place.is_dir():  # a file geodatabase
            yield from (str(file) for file in place.rglob("*") if file.is_file() and file.suffix != ".lock")
            return
        yield local
        folder, stem, name = str(place.parent), place.stem, place.name
        names = self._names(folder)
        for other in takewhile(partial(_starts_with, stem), islice(names, bisect_left(names, stem), None)):
            after_name = other.startswith(name) and BESIDE.fullmatch(other, len(name))
            beside = place.with_name(other)
            if (after_name or BESIDE.fullmatch(other, len(stem))) and other != name and beside.is_file():
                yield str(beside)

    def _names(self, folder: str) -> list[str]:
        if folder not in self._folders:
            self._folders[folder] = sorted(os.listdir(folder))
        return self._folders[folder]


def _starts_with(start: str, name: str) -> bool:
    return name.startswith(start)


def _stat(file: str) -> Stat:
    status = Path(file).stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _read(memory: Path) -> dict[str, tuple[Stat, str]]:
    """Read remembered checksums; what cannot be read is not there."""
    try:
        held = json.loads(memory.read_text())
        return {str(file): (list(map(int, status)), str(checksum)) for file, (status, checksum) in held.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _archive_of(path: str) -> str | None:
    """Find the archive on this machine that a file lies in: ``/vsizip/data/scenes.zip/a.tif``, ``zip://…!a.tif``."""
    start = next((prefix for prefix in ARCHIVES if path.startswith(prefix)), None)
    if start is None:
        return None
    place = Path(path.removeprefix(start).replace("!", "/").strip("{}"))
    return next((str(part) for part in (place, *place.parents) if part.is_file()), None)


def _sources(path: str) -> list[str]:
    """List what a virtual raster or vector file consists of, as far as its text can be read."""
    if not path.lower().endswith(".vrt") or is_remote(path):
        return []
    try:
        root = Xml.parse(path).getroot()
    except (OSError, Xml.ParseError):
        return []
    named = [element for tag in SOURCE_TAGS for element in root.iter(tag) if element.text]
    found = []
    for element in named:
        source, attributes = str(element.text), {name.lower(): value for name, value in element.attrib.items()}
        relative = attributes.get("relativetovrt") == "1" and not is_remote(source)
        found.append(str(Path(path).parent / source) if relative else source)
    return found


def _checksum_of_metadata(file: str) -> str:
    """Hash what GDAL knows of a file beside it, but for statistics: a viewer writes them, and they change nothing.

    Returns:
        The checksum; empty if there is nothing else.
    """
    try:
        root = Xml.parse(file).getroot()
    except (OSError, Xml.ParseError):
        return sha256(file)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == "Histograms" or (child.tag == "MDI" and child.get("key", "").startswith("STATISTICS_")):
                parent.remove(child)
    _remove_empty(root)
    if not len(root):
        return ""
    plain = Xml.canonicalize(Xml.tostring(root, encoding="unicode"), strip_text=True)
    return hashlib.sha256(plain.encode()).hexdigest()


def _remove_empty(element: Xml.Element) -> None:
    """Remove sections and bands of which nothing is left."""
    for child in list(element):
        _remove_empty(child)
        if child.tag in ("Metadata", "PAMRasterBand") and not len(child):
            element.remove(child)
