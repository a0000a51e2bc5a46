"""Files that are either complete or not there: temporary names, renames, checksums, stable zips."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import stat
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from swath.errors import Problem, UserError

DENSE = {".pth", ".ckpt", ".zip"}  # weights get a fifteenth smaller when deflated, which takes seconds
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date a zip can carry: same content, same bytes

TOKEN = uuid.uuid4().hex[:12]
"""Part of the name of whatever this process has not finished: who finds it knows whose it was."""

_may_publish: list[Callable[[], None]] = []


def publish_only_while(check: Callable[[], None]) -> None:
    """Have ``check`` called before anything is published; it raises when this process may not any more."""
    _may_publish[:] = [check]


def check_right_to_publish() -> None:
    """Make sure that this process may still publish; what it raises is what ``publish_only_while`` was given."""
    for check in _may_publish:
        check()


published: list[Path] = []
"""What this process has published so far, in its order."""


def replace(temporary: Path, path: Path) -> None:
    """Rename a temporary file or folder to its final name, if this process may; both survive a power cut."""
    flush(temporary)
    check_right_to_publish()
    os.replace(temporary, path)
    flush_folder(path.parent)
    published.append(path)


def flush(path: Path) -> None:
    """Have a file, or all files of a folder, written to the disk: a rename can get there before what is renamed."""
    if path.is_dir():
        for folder, _, names in os.walk(path):
            for name in names:
                file = Path(folder, name)
                if not file.is_symlink():
                    _flush(file)
            flush_folder(Path(folder))
    else:
        _flush(path)


def flush_folder(folder: Path) -> None:
    """Have the names in a folder written to the disk, where the file system can; some know no such thing."""
    with contextlib.suppress(OSError):
        _flush(folder)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_name(path: str | Path) -> Path:
    """Give a private name beside ``path``, on the same file system, so that a rename publishes it."""
    path = Path(path)
    return path.with_name(f".{path.stem}.{TOKEN}{uuid.uuid4().hex[:8]}.tmp{path.suffix}")


def remove_temporary(folder: Path, token: str) -> None:
    """Remove what a process has left unfinished in a folder and those below it."""
    for left in list(folder.rglob(f".*.{token}*.tmp*")):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


@contextmanager
def publish(path: str | Path) -> Iterator[Path]:
    """Yield a temporary file name; rename it to ``path`` on success, remove it otherwise."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    try:
        yield temporary
        replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def publish_directory(path: str | Path) -> Iterator[Path]:
    """Yield an empty temporary directory; on success it takes the place of ``path`` whole."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, old = temporary_name(path), temporary_name(path)
    temporary.mkdir()
    try:
        yield temporary
        flush(temporary)
        check_right_to_publish()
        if path.exists():
            os.replace(path, old)
        replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def replace_link(path: Path, target: str) -> None:
    """Have a symbolic link lead to ``target``; one that does so already stays as it is."""
    if path.is_symlink() and str(path.readlink()) == target:
        return
    temporary = temporary_name(path)
    try:
        temporary.symlink_to(target)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: str | Path, content: Any) -> None:
    """Write ``content`` as indented JSON with sorted keys, published whole."""
    with publish(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file that is a result.

    Raises:
        UserError: If it is damaged.
    """
    try:
        return json.loads(Path(path).read_text())
    except ValueError as error:  # no JSON, or no text
        raise damaged(path, f"no JSON: {error}") from error


def damaged(path: str | Path, found: str) -> UserError:
    """Tell of a result that cannot be read, as empty and cut-off files cannot after a power cut or on a full disk."""
    cure = f"remove it (rm '{path}'), then type the same command again: it is made anew"
    return UserError(Problem("result_damaged", str(path), "", found, "the file as it was written", cure))


def read_state(path: Path, *fields: str, **types: type) -> dict[str, Any] | None:
    """Read a JSON file by which processes agree; what cannot be read is not there.

    Args:
        path: The file.
        fields: What it must hold, of any type.
        types: What it must hold, with its type.

    Returns:
        Its content; None if there is no such file, or if it is empty, cut off, or something else.
    """
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or not {*fields, *types} <= set(content):
        return None
    return content if all(isinstance(content[name], kind) for name, kind in types.items()) else None


def short_hash(content: Any, length: int = 12) -> str:
    """Hash canonical JSON (sorted keys, no spaces): the same content gives the same name anywhere."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:length]


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's content, hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cut_to_bytes(text: str, most: int) -> str:
    """Cut a text so that it has no more than ``most`` bytes: file systems count these, and not characters."""
    return text.encode()[:most].decode(errors="ignore")


def file_name(name: str, most: int = 100) -> str:
    """Make of any name one that a file or folder can have everywhere, the same at every call.

    A name of letters, digits, ``.``, ``_``, ``-`` stays as it is, unless it is too long or begins with a dot or dash.
    Of others, what cannot stay becomes ``_``, and a hash keeps them apart: ``tile b`` → ``tile_b~1f0c3a5e``.

    Args:
        name: Any text.
        most: Bytes that it may have, which leaves room for endings.
    """
    plain = re.sub(r"^[.-]|[^\w.-]", "_", name)
    if plain == name and len(name.encode()) <= most:
        return name
    return f"{cut_to_bytes(plain, most - 9)}~{short_hash(name, 8)}"


def zip_directory(directory: str | Path, path: str | Path, compression: int = zipfile.ZIP_DEFLATED) -> None:
    """Zip a directory's files, sorted by name and without dates: same content, same bytes. Weights are not deflated.

    Args:
        directory: What is zipped.
        path: The zip to write.
        compression: Of the rest, as :mod:`zipfile` has it; ``ZIP_STORED`` for what is unpacked, or zipped again, at
            once.
    """
    directory = Path(directory)
    with zipfile.ZipFile(path, "w", compression, compresslevel=1) as archive:
        for file in sorted(file for file in directory.rglob("*") if file.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(directory).as_posix(), ZIP_EPOCH)
            entry.compress_type = zipfile.ZIP_STORED if file.suffix in DENSE else compression
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, file.read_bytes())


def unzip(path: str | Path, directory: str | Path) -> None:
    """Unpack a zip into a directory.

    Raises:
        UserError: If it is damaged, or holds what no job has put there.
    """
    with _opened(path) as archive:
        there = next(place for place in (Path(directory), *Path(directory).absolute().parents) if place.is_dir())
        problem = _unfit(path, archive, shutil.disk_usage(there).free)
        if problem:
            raise UserError(problem)
        archive.extractall(directory)


def content_of_zips(paths: Iterable[str | Path]) -> str:
    """Hash what zips hold, by name, checksum and size: the same files give the same hash, however they are spread.

    Raises:
        UserError: If one is damaged.
    """
    found = []
    for path in paths:
        with _opened(path) as archive:
            found += [(entry.filename, entry.CRC, entry.file_size) for entry in archive.infolist()]
    return short_hash(sorted(found))


@contextmanager
def _opened(path: str | Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip; whatever shows that it is damaged is told by its name."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        raise damaged(path, f"no whole zip: {error or 'cut off'}") from error


def _unfit(path: str | Path, archive: zipfile.ZipFile, room: int) -> Problem | None:
    """Say why a zip is not unpacked: names that lead out of the folder, links, more than there is room for."""
    expected, cure = "files within the folder they are unpacked to", "use it only if it comes from where you trust"
    for entry in archive.infolist():
        name = entry.filename.replace("\\", "/")
        leads_out = name.startswith("/") or ".." in name.split("/") or ":" in name.split("/")[0]
        if leads_out or stat.S_ISLNK(entry.external_attr >> 16):
            found = f"{entry.filename!r}, which {'leads out of it' if leads_out else 'is a link'}"
            return Problem("zip_refused", str(path), "", found, expected, cure)
    size = sum(entry.file_size for entry in archive.infolist())
    if size > room:
        found = f"{size / 1e9:,.1f} GB when unpacked, where {room / 1e9:,.1f} GB are free"
        return Problem("zip_refused", str(path), "", found, "room for its files", f"make room, or {cure}")
    return None
