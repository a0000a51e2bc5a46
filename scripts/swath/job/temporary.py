"""A folder of its own for whatever a job leaves in the place for temporary files: gone after it, whatever happens.

Libraries write there under names that anybody can foresee (Raster Vision: ``$TMPDIR/cache``), and what they have begun
stays when they are killed. Here the place is a new folder that nobody else can enter. A job that ends removes its own;
one that is killed leaves it to the next job on the same machine.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from swath.coordination.process_identity import is_dead, read_identity, this_process
from swath.files import write_json

PREFIX = "swath-"
OWNER = "owner.json"
"""Says in such a folder which process it belongs to."""
VARIABLES = ("TMPDIR", "TEMP", "TMP")


def new_folder(purpose: str = "") -> Path:
    """Make a folder for temporary files of this process, and remove those that dead ones have left."""
    remove_left_over()
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{purpose}"))
    write_json(folder / OWNER, this_process())
    return folder


@contextmanager
def own_temporary_folder() -> Iterator[Path]:
    """Have this process, and all that it starts, write temporary files into a folder that is removed in the end."""
    folder = new_folder()
    before = {name: os.environ.get(name) for name in VARIABLES}
    os.environ.update(dict.fromkeys(VARIABLES, str(folder)))
    _settle(str(folder))
    try:
        yield folder
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        _settle(None)
        shutil.rmtree(folder, ignore_errors=True)


def remove_left_over() -> None:
    """Remove the folders of this user's processes that were on this machine and are dead."""
    with contextlib.suppress(OSError):
        for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
            with contextlib.suppress(OSError):
                state = folder.lstat()
                owner = read_identity(folder / OWNER)
                if stat.S_ISDIR(state.st_mode) and state.st_uid == os.getuid() and owner and is_dead(owner):
                    shutil.rmtree(folder, ignore_errors=True)


def _settle(folder: str | None) -> None:
    """Tell what has settled on a place already: Python, and Raster Vision where it is imported."""
    tempfile.tempdir = folder
    if library := sys.modules.get("rastervision.pipeline"):
        library.rv_config_.set_tmp_dir_root(folder)
