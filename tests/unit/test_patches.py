"""The rules of all patches: made where what they replace is there, told of where the version is another."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from swath import patches
from swath.patches import WRITTEN_FOR, other_versions, replace


def test_the_patches_were_written_for_the_installed_versions() -> None:
    assert other_versions() == [], "which patches can go? See the tests of every upstream.py, then change WRITTEN_FOR"


def test_another_version_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WRITTEN_FOR, "snakemake", "8.0.0")
    monkeypatch.setitem(WRITTEN_FOR, "nowhere-to-be-found", "1.0")
    (line,) = other_versions()
    assert line.startswith(f"snakemake {patches.version('snakemake')}: ")
    assert "8.0.0" in line and "\n" not in line
    assert other_versions(["pytorch-lightning"]) == []


def test_a_function_is_replaced_by_one_that_takes_the_same() -> None:
    owner = SimpleNamespace(ask=lambda question, patience=3: "old")
    assert replace(owner, "ask", lambda question, patience: "new")
    assert owner.ask("?", 3) == "new"


def test_what_has_changed_or_gone_is_left_alone() -> None:
    owner = SimpleNamespace(ask=lambda question, politely: "old", value=3)
    assert not replace(owner, "ask", lambda question: "new")
    assert not replace(owner, "asks", lambda question: "new")
    assert not replace(owner, "value", lambda: "new")
    assert owner.ask("?", True) == "old" and owner.value == 3 and not hasattr(owner, "asks")
