"""Stages in a container: the image, what is mounted, and what must not be taken from the host.

Snakemake runs ``apptainer exec`` for every job. Apptainer mounts the working directory and /tmp; whatever else the
experiment reads is added here, through the variable it reads for that.
"""

from __future__ import annotations

import functools
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from swath.errors import Problem, UserError

VARIABLES = ("APPTAINER_BIND", "SINGULARITY_BIND")
ALWAYS_THERE = {"/tmp", "/var/tmp"}
"""What Apptainer mounts by itself."""
HOST_PACKAGES = "/mnt/snakemake_searchpaths"
"""Where Snakemake mounts the host's packages in a container."""
HOST_DATA = ("PROJ_DATA", "PROJ_LIB", "GDAL_DATA", "GDAL_DRIVER_PATH")
"""Variables of conda and modules that name the data of another PROJ and GDAL than those rasterio brings along."""


NO_CONTAINER = (
    "use this Python instead of a container: add `--software-deployment-method env-modules` at the end of the command, "
    "or change that line of the profile"
)


def check_program() -> None:
    """Make sure that Apptainer is there.

    Raises:
        UserError: If it is not.
    """
    if not any(map(shutil.which, ("apptainer", "singularity"))):
        modules = any(os.environ.get(variable) for variable in ("MODULEPATH", "MODULESHOME", "LMOD_CMD"))
        cure = f"`module load apptainer`, and the same command again; or {NO_CONTAINER}" if modules else NO_CONTAINER
        expected = "the program that the image of every step runs in"
        raise UserError(Problem("apptainer_missing", "PATH", "", "no program apptainer or singularity", expected, cure))


def check_image(image: Path) -> None:
    """Make sure that the image is there.

    Raises:
        UserError: If it is not.
    """
    if not image.is_file():
        cure = f"build it with `make image`, or copy one there; or {NO_CONTAINER}"
        raise UserError(
            Problem("image_file_missing", str(image), "", "no such file", "the image that every step runs in", cure)
        )


def mount(repository: Path, places: Iterable[str | Path]) -> None:
    """Have Apptainer mount what lies outside the working directory: the program, and files that stages read.

    Args:
        repository: Where the program is.
        places: Files and folders that stages read or write; links are followed.

    Raises:
        UserError: If a folder's name cannot be said to Apptainer.
    """
    if " " in str(repository):
        cure = "move the repository, or reach it by a link without one; or " + NO_CONTAINER
        expected = "a name that Snakemake takes for an image's"
        raise UserError(Problem("unmountable_folder", str(repository), "", "a space in its name", expected, cure))
    temporary = {tempfile.gettempdir()} - ALWAYS_THERE
    folders = folders_to_mount([repository, *temporary, *places], Path.cwd())
    for folder in folders:
        if set(folder) & set(":,"):
            cure = "rename the folder, or reach it by a link without such characters that is mounted as a whole"
            raise UserError(
                Problem(
                    "unmountable_folder", folder, "", "a colon or comma in its name", "a name Apptainer can mount", cure
                )
            )
    said = next((os.environ[variable] for variable in VARIABLES if os.environ.get(variable)), "")
    known = [part for part in said.split(",") if part]
    for variable in VARIABLES:
        os.environ[variable] = ",".join([*known, *(folder for folder in folders if folder not in known)])


def folders_to_mount(places: Iterable[str | Path], here: Path) -> list[str]:
    """List the folders outside the working directory that hold the places, none inside another.

    Args:
        places: Files and folders; what does not exist is left out.
        here: The working directory.
    """
    folders = set()
    for place in places:
        ways = _ways_to(Path(os.path.normpath(here / place)))
        folders |= {way if way.is_dir() else way.parent for way in ways}
    _ways_to_folder.cache_clear()  # links can change
    root = Path(here.anchor)
    outside = {folder for folder in folders - {root} if folder.is_dir() and not folder.is_relative_to(here)}
    return sorted(
        str(folder) for folder in outside if not any(folder != o and folder.is_relative_to(o) for o in outside)
    )


def _ways_to(path: Path) -> list[Path]:
    """List a path and what it is called as one link after the other is followed; in a container all have to lead on."""
    ways = [folder / path.name for folder in _ways_to_folder(path.parent)]
    if ways[-1].is_symlink() and ways[-1].exists():
        ways += _ways_to(Path(os.path.normpath(ways[-1].parent / ways[-1].readlink())))
    return ways


@functools.cache  # thousands of files share a folder
def _ways_to_folder(path: Path) -> list[Path]:
    return [path] if path == path.parent else _ways_to(path)


def drop_host_environment() -> None:
    """Leave alone what would silently come from the host: packages, which Snakemake offers to a script in a container.

    And the coordinate systems of another PROJ, in a container and out of one.
    """
    for variable in HOST_DATA:
        os.environ.pop(variable, None)
    sys.path[:] = [path for path in sys.path if not path.startswith(HOST_PACKAGES)]
