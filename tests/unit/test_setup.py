"""What `make setup` does where something is missing: a Python, a module of it, uv, the way to a package index."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from experiment import REPOSITORY

PYTHON = f"""#!/bin/sh
# a Python of this machine with a fault; one in an environment only notes what it is asked to do
echo "$0: $*" >>"$NOTES"
case "$*" in
    $FAULT) exit 1 ;;
    "-V") echo "Python $RELEASE"; exit ;;
    "-m venv"*) mkdir -p "$FOLDER/bin"; cp "$0" "$FOLDER/bin/python"; cp "$0" "$FOLDER/bin/uv"; exit ;;
    *"pip config"*) echo "$INDEX"; exit ;;
    "cache dir") echo "$FOLDER/cache"; exit ;;
    "pip install"*) echo "index: $UV_DEFAULT_INDEX" >>"$NOTES"; exit ;;
    "-m pip"*) exit ;;
esac
exec {sys.executable} "$@"
"""
RELEASE = f"{sys.version_info.major}.{sys.version_info.minor}"


def set_up(folder: Path, fault: str = "none", index: str = "") -> tuple[subprocess.CompletedProcess[str], str]:
    """Run the script with a Python that fails when it is asked for something; its output, and what Python noted."""
    python = folder / "python"
    python.write_text(PYTHON.replace("$FAULT", fault))
    python.chmod(0o755)
    notes = folder / "notes"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    environment |= {"NOTES": str(notes), "FOLDER": str(folder / "venv"), "INDEX": index, "RELEASE": f"{RELEASE}.0"}
    command = ["sh", str(REPOSITORY / "envs/setup.sh"), str(python), str(folder / "venv")]
    done = subprocess.run(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    return done, notes.read_text()


def installed(notes: str, program: str) -> bool:
    """Whether a program was asked to install the lock file with its hashes."""
    lines = [line for line in notes.splitlines() if f"/{program}: " in line and line.endswith("requirements.lock")]
    return bool(lines) and all("pip install" in line and "--require-hashes" in line for line in lines)


def test_uv_installs_all(tmp_path: Path) -> None:
    done, notes = set_up(tmp_path)
    assert done.returncode == 0, done.stdout
    assert installed(notes, "uv")
    assert not installed(notes, "python")
    assert (tmp_path / "venv/.ready").exists()


def test_an_index_that_pip_knows_holds_for_uv(tmp_path: Path) -> None:
    _, notes = set_up(tmp_path, index="https://packages.example.org/simple")
    assert "index: https://packages.example.org/simple" in notes


@pytest.mark.parametrize("fault", ["*installer.lock", "'pip install'*"], ids=["no uv", "no way to the index"])
def test_where_uv_cannot_pip_installs_all(fault: str, tmp_path: Path) -> None:
    done, notes = set_up(tmp_path, fault)
    assert done.returncode == 0, done.stdout
    assert installed(notes, "python")
    assert "pip does it instead" in done.stdout


def test_an_environment_that_pip_cannot_fill_is_not_ready(tmp_path: Path) -> None:
    done, _ = set_up(tmp_path, "*.lock")
    assert done.returncode == 1
    assert not (tmp_path / "venv/.ready").exists()


def test_a_python_without_venv_names_the_package_to_install(tmp_path: Path) -> None:
    done, notes = set_up(tmp_path, "*ensurepip*")
    assert done.returncode == 1
    assert f"sudo apt install python{RELEASE}-venv" in done.stdout
    assert "-m venv" not in notes


def test_another_python_is_refused_in_one_line(tmp_path: Path) -> None:
    done, _ = set_up(tmp_path, "*version_info*")
    assert done.returncode == 1
    assert "Swath needs Python 3.11, 3.12 or 3.13" in done.stdout
    assert f"Python {RELEASE}.0. Name another: make setup PYTHON=" in done.stdout
    assert len(done.stdout.splitlines()) == 1


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    command = ["sh", str(REPOSITORY / "envs/setup.sh"), str(tmp_path / "python9"), str(tmp_path / "venv")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"There is no program {command[2]}. Name a Python: make setup PYTHON=python3.12\n"
