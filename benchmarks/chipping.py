"""Cutting chips by Raster Vision and by Swath: CPU seconds per window, and what all the rest takes, such as starting.

    python benchmarks/chipping.py FOLDER [--few 25] [--many 275]

Chips of 256 pixels are cut from four training images of 1,024 × 1,024 pixels and one for validation, twice: few per
image and many. What the second run takes more, by more windows, is what a window takes; the rest is the same in both.
Images of three bands of 8 bits, and of six bands of 16 bits. Raster Vision: its stages `analyze` and `chip`; Swath:
`snakemake --until chip`. What a run has computed is what the kernel counts of all its processes.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from against_raster_vision import ONE, SPLITS, Spent, by_raster_vision, by_swath, config_of, write_data

IMAGES = {"three bands, uint8": (3, "uint8", 1), "six bands, uint16": (6, "uint16", 40)}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--few", type=int, default=25)
    parser.add_argument("--many", type=int, default=275)
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    images = SPLITS["train"] + SPLITS["validation"]
    more = images * (arguments.many - arguments.few)
    lines = [
        f"{more} more windows",
        "",
        "| | Raster Vision, ms per window | Swath | ratio | Raster Vision, seconds for the rest | Swath |",
        "|---|---|---|---|---|---|",
    ]
    for name, (bands, dtype, brighter) in IMAGES.items():
        data = folder / f"data-{bands}"
        write_data(data, bands, dtype, brighter)

        def theirs(chips: int, data: Path = data) -> Spent:
            return by_raster_vision(
                data, folder / "raster-vision", replace(ONE, chips=chips), stages=("analyze", "chip")
            )

        def ours(chips: int, data: Path = data) -> Spent:
            return by_swath(folder / "swath", config_of(data, replace(ONE, chips=chips), {}), ["--until", "chip"])

        (few, many), (our_few, our_many) = ([cut(arguments.few).cpu, cut(arguments.many).cpu] for cut in (theirs, ours))
        window, our_window = (many - few) / more, (our_many - our_few) / more
        rest, our_rest = few - images * arguments.few * window, our_few - images * arguments.few * our_window
        lines.append(
            f"| {name} | {1000 * window:.1f} | {1000 * our_window:.1f} | {window / our_window:.1f} "
            f"| {rest:.1f} | {our_rest:.1f} |"
        )
        print(lines[-1], flush=True)
    (folder / "chipping.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
