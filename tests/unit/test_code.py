"""The hash of the code behind a stage."""

from __future__ import annotations

from pathlib import Path

import pytest

from swath import code


def names(script: str) -> set[str]:
    return {str(path.relative_to(code.SCRIPTS)) for path in code.modules_of(script)}


def test_a_script_brings_all_its_modules() -> None:
    assert {"chip.py", "swath/rv/chip.py", "swath/rv/pipeline.py", "swath/rv/compat.py"} <= names("chip")
    assert "swath/training/train.py" in names("train")


def test_what_shapes_no_result_is_left_out() -> None:
    assert not {name for name in names("train") if "errors" in name or "config" in name or "job" in name}
    assert "swath/training/train.py" not in names("predict")


def test_a_change_in_a_module_changes_the_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {script: code.hash_of_code(script) for script in ("scenes", "predict")}
    read = code._content
    maps = code.SCRIPTS / "swath/products/maps.py"

    def changed(path: Path) -> bytes:
        return read(path) + (b"\n# changed" if path == maps else b"")

    monkeypatch.setattr(code, "_content", changed)
    code.hash_of_code.cache_clear()
    assert code.hash_of_code("scenes") == before["scenes"]
    assert code.code_of("predict")(None) != before["predict"]
    code.hash_of_code.cache_clear()
