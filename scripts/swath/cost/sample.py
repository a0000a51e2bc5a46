"""Some scenes of an experiment, prepared and cut as its stages do: the sample that a probe learns from."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from swath.config.chips import Chips
from swath.config.imagery import Imagery
from swath.config.records import of_json
from swath.config.stage import StageSettings
from swath.cost.answers import Cut, Done
from swath.cost.prices import NOTHING, Time
from swath.cost.work import chip_work, pixels_of, windows_for_chips
from swath.scenes.facts import ScenesSpec
from swath.scenes.scene import Scene

MOST_WINDOWS = 50
"""Random windows that are looked at in a scene: what share of them becomes chips shows sooner."""
MOST_SECONDS = 20.0
"""So long scenes are prepared and cut, one after the other; one of each split at least."""


class Clock:
    """How long something has taken, once it is done.

    Attributes:
        time: Nothing before.
    """

    time: Time = NOTHING


@contextmanager
def clock() -> Iterator[Clock]:
    """Measure what is done within."""
    taken, begun, cpu = Clock(), time.perf_counter(), time.process_time()
    yield taken
    taken.time = Time(time.perf_counter() - begun, time.process_time() - cpu)


class Sample:
    """Some scenes of an experiment, prepared and cut as its stages do.

    Args:
        settings: ``task``, ``imagery``, ``labels``, ``chips``, ``spec`` (of the stage scenes), ``scenes`` (rows).
        folder: For what is made.
    """

    def __init__(self, settings: Mapping[str, Any], folder: Path):
        from swath.rv.pipeline import scene_options

        self.folder = folder
        self.spec = of_json(ScenesSpec, settings["spec"])
        self.classes = self.spec.classes
        self.chips = Chips(**settings["chips"])
        self.settings = StageSettings(
            task=settings["task"],
            imagery=Imagery(**settings["imagery"]),
            chips=self.chips,
            labels=self.spec.labels,
        )
        self.scenes = [of_json(Scene, row) for row in settings["scenes"]]
        self.facts: list[Any] = []
        self.zips: list[str] = []
        stats = [str(folder / "stats" / "train_scenes" / "stats.json")] if settings["normalized"] else []
        self.options = scene_options(self.settings, stats, self.classes)
        self.bands = 0

    def cut(self) -> Cut:
        """Prepare and cut scenes until there are enough."""
        from swath.rv.chip import cut_chips
        from swath.rv.chip_files import CHIP_FILES, FOLDERS
        from swath.scenes.analyze import analyze
        from swath.scenes.manifest import check_imagery, read_manifests
        from swath.scenes.prepare import prepare_scenes

        begun = time.monotonic()
        with clock() as preparing:
            for number, scene in enumerate(self.scenes):
                if {facts.split for facts in self.facts} == {"train", "validation"} and (
                    time.monotonic() - begun > MOST_SECONDS
                ):
                    break
                manifest = self.folder / f"{number}.json"
                prepare_scenes([scene], self.spec, self.folder / str(number), manifest)
                self.facts += read_manifests([manifest])
        self.bands = check_imagery(self.facts, self.settings.imagery)
        training = [facts for facts in self.facts if facts.split == "train"]
        with clock() as analysing:
            if self.options.stats:
                Path(self.options.stats).parent.mkdir(parents=True)
                analyze(training, self.settings.imagery, Path(self.options.stats))
        few = self.chips.model_copy(update={"per_scene": min(self.chips.per_scene, MOST_WINDOWS)})
        counts, windows, work = dict.fromkeys(FOLDERS, 0), dict.fromkeys(FOLDERS, 0), 0.0
        with clock() as cutting:
            for split in FOLDERS:
                held = [facts for facts in self.facts if facts.split == split]
                archive = self.folder / f"{split}-0.zip"
                cut_chips(held, split, few, self.options, self.classes, archive)
                counts[split] = _count(archive, CHIP_FILES[self.settings.task], FOLDERS[split], self.folder)
                windows[split] = sum(windows_for_chips(facts, few) for facts in held)
                work += chip_work(held, few)
                self.zips.append(str(archive))
        return Cut(
            windows,
            counts,
            scenes=Done(preparing.time, len(self.facts)),
            analyze=Done(analysing.time, pixels_of(training)),
            chip=Done(cutting.time, work),
            zipped=sum(Path(file).stat().st_size for file in self.zips),
        )


def _count(archive: Path, files: Any, name: str, folder: Path) -> int:
    from swath.files import unzip

    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        unzip(archive, Path(temporary))
        return int(files.count(Path(temporary) / name))
