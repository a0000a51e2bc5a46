"""What `snakemake estimate` says of the three demos, and what they then take.

    python benchmarks/estimates.py FOLDER

Each demo is estimated in a new folder, where everything is probed, and run. Then one setting is changed (a learning
rate; of the trees, the stride of predictions), and it is estimated again, from what the first run took, and run. What a
run has taken is what its jobs have written down of themselves: CPU hours without Snakemake's own. The minutes are those
of the whole command. Printed, and written to FOLDER/estimates.md.
"""

from __future__ import annotations

import argparse
import re
import shutil
import time
from pathlib import Path
from typing import Any

import yaml
from against_raster_vision import SNAKEMAKE, output_of
from training_jobs import REPOSITORY

from swath.job.attempts import ENDING
from swath.job.spent import Spent, attempts_in

DEMOS: dict[str, tuple[str, tuple[str, str], Any]] = {
    "land use": ("config/config.yaml", ("sweep", "grid"), {"train.learning_rate": [0.002]}),
    "cells": ("config/examples/havel-chips.yaml", ("sweep", "grid"), {"train.learning_rate": [2.0e-3]}),
    "trees": ("config/examples/neon-trees.yaml", ("predict", "stride"), 200),
}
"""Demo → its config, and the setting that is changed, with its other value."""
WITHIN = 1.5


def cpu_hours(folder: Path) -> float:
    """Add up what all jobs of a folder have taken so far."""
    total = Spent()
    for file in (folder / "results/logs").rglob(f"*{ENDING}"):
        total.add_job(attempts_in(file))
    return total.cpu_hours


def compared(folder: Path, config: dict[str, Any]) -> str:
    """Estimate an experiment, run it, and write both as cells of a table."""
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    run = [*SNAKEMAKE, "--configfile", "config.yaml"]
    said = output_of([*run, "--cores", "2", "estimate"], folder)
    together = re.search(r"^together +\S+ +(\S+)", said, re.MULTILINE)
    elapsed = re.search(r"^(?:About|At least) (\S+) (seconds|minutes)", said, re.MULTILINE)
    if not together or not elapsed:
        raise SystemExit(said)
    hours, minutes = float(together[1]), float(elapsed[1]) / (60 if elapsed[2] == "seconds" else 1)
    before, began = cpu_hours(folder), time.monotonic()
    output_of(run, folder)
    spent, took = cpu_hours(folder) - before, (time.monotonic() - began) / 60
    far = max(hours / spent, spent / hours)
    verdict = f"{far:.2f}" if far <= WITHIN else f"**{far:.2f}**"
    return f"{hours:.3f} | {spent:.3f} | {verdict} | {minutes:.1f} | {took:.1f}"


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--demo", choices=DEMOS, action="append")
    arguments = parser.parse_args()
    lines = [
        "| demo | told from | CPU hours, expected | spent | factor | minutes, expected | spent |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in arguments.demo or DEMOS:
        path, (section, setting), value = DEMOS[name]
        folder = arguments.folder.resolve() / name.replace(" ", "-")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        config = yaml.safe_load((REPOSITORY / path).read_text())
        lines.append(f"| {name} | a probe, in a new folder | {compared(folder, config)} |")
        print(lines[-1], flush=True)
        config.setdefault(section, {})[setting] = value
        changed = "stride of predictions" if section == "predict" else "learning rate"
        lines.append(f"| | that run, for another {changed} | {compared(folder, config)} |")
        print(lines[-1], flush=True)
    (arguments.folder / "estimates.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
