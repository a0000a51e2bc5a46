"""Files are complete or not there; equal content has equal bytes."""

from __future__ import annotations

import os
import time
import zipfile
from pathlib import Path

import pytest

from swath.files import (
    file_name,
    publish,
    publish_directory,
    read_json,
    sha256,
    short_hash,
    unzip,
    write_json,
    zip_directory,
)


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "sub" / "file.txt"
    with pytest.raises(ZeroDivisionError), publish(target) as temporary:
        temporary.write_text(f"half {1 / 0}")
    assert list(target.parent.iterdir()) == []
    with publish(target) as temporary:
        temporary.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"


def test_a_directory_takes_the_place_of_the_old_one_whole(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    for content in ("old", "new"):
        with publish_directory(target) as temporary:
            (temporary / content).touch()
    assert [path.name for path in target.iterdir()] == ["new"]
    with pytest.raises(FileNotFoundError), publish_directory(target) as temporary:
        (temporary / "missing").read_text()
    assert [path.name for path in target.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_zips_do_not_know_when_they_were_made(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a").write_text("a")
    (folder / "b").write_text("b")
    zip_directory(folder, tmp_path / "one.zip")
    os.utime(folder / "b", (time.time() - 1e6,) * 2)
    zip_directory(folder, tmp_path / "two.zip")
    assert sha256(tmp_path / "one.zip") == sha256(tmp_path / "two.zip")
    unzip(tmp_path / "one.zip", tmp_path / "out")
    assert (tmp_path / "out" / "sub" / "a").read_text() == "a"


def test_weights_are_zipped_as_they_are(tmp_path: Path) -> None:
    """They hardly get smaller."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("model.pth", "model-bundle.zip", "config.json"):
        (folder / name).write_bytes(bytes(10_000))
    zip_directory(folder, tmp_path / "bundle.zip")
    with zipfile.ZipFile(tmp_path / "bundle.zip") as archive:
        sizes = {entry.filename: entry.compress_size for entry in archive.infolist()}
    assert sizes["model.pth"] == sizes["model-bundle.zip"] == 10_000 > 1_000 > sizes["config.json"]
    unzip(tmp_path / "bundle.zip", tmp_path / "out")
    assert (tmp_path / "out" / "model.pth").read_bytes() == bytes(10_000)


def test_hashes_do_not_depend_on_the_order_of_keys() -> None:
    assert short_hash({"a": 1, "b": [1.5, None]}) == short_hash({"b": [1.5, None], "a": 1})
    assert short_hash({"a": 1}) != short_hash({"a": 2})


def test_json_comes_back(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"b": 1, "a": [1, 2]})
    assert read_json(tmp_path / "x.json") == {"a": [1, 2], "b": 1}


@pytest.mark.parametrize("name", ["a", "img_2.v1", "Wald-süd", "北京", "_a"])
def test_a_plain_name_stays(name: str) -> None:
    assert file_name(name) == name


def test_other_names_are_made_safe_stay_readable_and_apart() -> None:
    names = [
        "tile b (2)",
        "tile_b__2_",
        "tile b [2]",
        ".a",
        "-a",
        "a/b",
        "{a}",
        "a\nb",
        "北" * 120,
        "北" * 121,
        "x" * 300,
    ]
    made = [file_name(name) for name in names]
    assert len(set(made)) == len(names)
    assert made[0].startswith("tile_b__2_~")
    assert all(len(name.encode()) <= 100 and not set(name) & set(" ()[]{}/\n") for name in made)
    assert not any(name.startswith((".", "-")) for name in made)
    assert made == [file_name(name) for name in names]
