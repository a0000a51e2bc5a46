"""An estimate in words: a table, or a line for the end of a dry run."""

from __future__ import annotations

from swath.cost.estimate import Estimate, Line

COLUMNS = ("job", "jobs", "CPU hours", "GPU hours", "disk", "from")
SOURCES = {
    "measured": "measured: earlier jobs in this folder",
    "probed": "probed: a sample, on this machine",
    "typical": "typical: small experiments elsewhere",
    "unknown": "not known",
}


def table_of(estimate: Estimate) -> str:
    """Write the whole estimate."""
    if not estimate.jobs:
        return "Nothing is to be done: everything is there."
    rows = [list(COLUMNS), *map(_row, estimate.lines.values())]
    if estimate.gpu_unknown:
        for row in rows[1:]:
            row[3] = "?" if row[3] != "0" else row[3]
    total = Line("together", estimate.jobs)
    rows.append(
        [
            total.rule,
            f"{total.jobs:,}",
            _hours(estimate.cpu_hours),
            _hours(estimate.gpu_hours),
            size(estimate.bytes),
            "",
        ]
    )
    if estimate.gpu_unknown:
        rows[-1][3] = "?"
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    aligned = [
        "  ".join(
            cell.rjust(width) if 0 < column < len(widths) - 1 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    met = sorted({source for line in estimate.lines.values() for source in line.sources}, key=list(SOURCES).index)
    lines = [*aligned, "", f"{_elapsed(estimate)}, {estimate.place.words}."]
    lines += [SOURCES[source] for source in met]
    if any(line.is_most for line in estimate.lines.values()):
        lines.append("≤: at most; chips can be dropped, and trainings can stop early")
    return "\n".join([*lines, *(f"Note: {note}." for note in estimate.notes)])


def short(estimate: Estimate) -> str:
    """Write an estimate that nothing was tried out for in a line."""
    if not estimate.jobs:
        return ""
    if {"train", "predict"} & set(estimate.unknown):
        return "What this takes is not known yet: `snakemake --cores 1 estimate` tries it out."
    hours = f"{_hours(estimate.cpu_hours)} CPU hours"
    if estimate.gpu_hours:
        hours += f", {_hours(estimate.gpu_hours)} GPU hours"
    unknown = f"; not known: {', '.join(estimate.unknown)}" if estimate.unknown else ""
    return (
        f"By what earlier jobs took: {hours}, {size(estimate.bytes)}, {in_words(estimate.elapsed)} "
        f"{estimate.place.words}{unknown}."
    )


def size(number: float) -> str:
    """Write a number of bytes."""
    for limit, unit, name in ((1e6, 1e3, "kB"), (1e9, 1e6, "MB"), (1e12, 1e9, "GB")):
        if number < limit:
            return f"{number / unit:.3g} {name}"
    return f"{number / 1e12:.3g} TB"


def in_words(seconds: float) -> str:
    """Write how long something takes, roughly."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours" if seconds < 72 * 3600 else f"{seconds / 86400:.1f} days"


def _row(line: Line) -> list[str]:
    most = "≤ " if line.is_most else ""
    sources = " and ".join(sorted(line.sources)) or "unknown"
    if line.sources == {"unknown"}:
        return [line.rule, f"{line.jobs:,}", "?", "?", "?", "not known"]
    gpu = _hours(line.gpu_hours)
    return [line.rule, f"{line.jobs:,}", most + _hours(line.time.cpu / 3600), gpu, size(line.bytes), sources]


def _hours(hours: float) -> str:
    if hours == 0:
        return "0"
    return f"{hours:.3f}" if hours < 1 else f"{hours:,.1f}"


def _elapsed(estimate: Estimate) -> str:
    least = "At least " if estimate.unknown else "About "
    return f"{least}{in_words(estimate.elapsed)}"
