"""A probe: the stages themselves on a few scenes, twenty batches of a training, some windows of a prediction.

``python -m swath.cost.probe FILE`` reads a request as JSON, and writes to the file what each took on this machine. A
process of its own, as every stage has: how long it takes until torch and Raster Vision are there is measured, too.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swath.config.records import to_json
from swath.cost.answers import Answer, Cut, Tried
from swath.cost.sample import Sample, clock
from swath.errors import UserError
from swath.job.environment import set_up_computing
from swath.job.temporary import own_temporary_folder


def probe(request: Mapping[str, Any]) -> Answer:
    """Try out what a request names.

    Args:
        request: ``samples`` (chips key → settings and scenes), and ``trainings`` (kind → model, window, chips key).
    """
    with clock() as start:
        from swath.cost.probed_training import probe_training
    samples: dict[str, Sample] = {}
    cut: dict[str, Cut] = {}
    tried: dict[str, Tried | str] = {}
    with own_temporary_folder(), tempfile.TemporaryDirectory() as temporary:
        for key, settings in request["samples"].items():
            folder = Path(temporary) / key
            folder.mkdir()
            samples[key] = Sample(settings, folder)
            cut[key] = samples[key].cut()
        for number, (kind, training) in enumerate(request["trainings"].items()):
            print(f"probing training {number + 1} of {len(request['trainings'])}", file=sys.stderr, flush=True)
            folder = Path(temporary) / f"training-{number}"
            try:
                tried[kind] = probe_training(training, samples[training["chips"]], folder)
            except UserError as error:
                tried[kind] = str(error)
    return Answer(start.time, cut, tried)


def main() -> None:
    """Answer a request from the input, in a file."""
    set_up_computing()
    answer = probe(json.load(sys.stdin))
    Path(sys.argv[1]).write_text(json.dumps(to_json(answer)))


if __name__ == "__main__":
    main()
