"""The settings that a stage's rule hands to its job."""

from __future__ import annotations

from swath.config.base import Section
from swath.config.chips import Chips
from swath.config.imagery import Imagery
from swath.config.labels import Labels
from swath.config.tasks import Task


class StageSettings(Section):
    """Sections of the config, as far as a stage reads them."""

    task: Task
    """The experiment's task."""

    imagery: Imagery = Imagery()
    chips: Chips | None = None
    labels: Labels | None = None
