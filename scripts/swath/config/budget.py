"""`budget`: what an experiment may take."""

from __future__ import annotations

from pydantic import NonNegativeFloat, PositiveFloat

from swath.config.base import Section


class Budget(Section):
    """What the experiment may take: a run that is expected to take more does not start, and a search ends in time."""

    gpu_hours: PositiveFloat | None = None
    """Hours × GPUs, of all jobs together, whatever became of them."""

    cpu_hours: PositiveFloat | None = None
    """Hours × cores that computed, of all jobs together."""

    co2_g_per_kwh: NonNegativeFloat | None = None
    """Grams of CO2 for a kilowatt-hour of your electricity: `cost.csv` then says what the GPUs' energy makes. Without
    it, nothing is said of CO2."""
