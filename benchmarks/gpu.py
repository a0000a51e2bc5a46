"""Whether training and prediction are right on this machine's GPUs, and how fast they are.

    python benchmarks/gpu.py FOLDER                 everything, in ten minutes at most
    python benchmarks/gpu.py FOLDER --prepare       only fetch the demo's data and cut chips: where there is internet

The demo's network is trained in 32 bits, bf16 and fp16, deterministic, compiled, interrupted and resumed, on one GPU
and on all, and once on the CPU, each in a process of its own; every model predicts the validation scene. Then it is
asked:

- Is the validation score that of the CPU, within a tolerance?
- Are the maps of one and the same model those of the CPU?
- Does an interrupted deterministic training end with the weights of one that was left alone?

The table is printed and written to FOLDER/gpu.md; the exit status is 1 if an answer is no. A machine without a GPU says
so, and does the same on its CPU, as far as that can.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from training_jobs import REPOSITORY, demo_config, make_chips, outputs_in, planned, training_job

REFERENCE = "CPU"
ALONE, INTERRUPTED = "deterministic", "deterministic, interrupted"
SCORE_TOLERANCE, MAP_TOLERANCE = 0.05, 0.001
"""How far the best validation macro-F1 of a few epochs, and the share of pixels of another class, may be off."""
PRECISIONS = ("none", "bf16", "fp16")
IN_WORDS = {"none": "32 bits", "bf16": "bf16", "fp16": "fp16"}


@dataclass(frozen=True)
class Variant:
    """A way to train.

    Attributes:
        name: What it is called in the table.
        train: `train` settings that differ from the demo's.
        on_cpu: Whether the GPUs are hidden from it.
        stops: How often it is asked to stop, each time after a single step.
    """

    name: str
    train: Mapping[str, Any] = field(default_factory=dict)
    on_cpu: bool = False
    stops: int = 0


@dataclass(frozen=True)
class Result:
    """What was measured of a variant.

    Attributes:
        score: Best validation macro-F1.
        chips: Chips per second of the training, the median of the epochs but the first.
        bare: The same of a loop over batches that lie on the device already: nobody can be faster.
        memory: Peak memory of the GPU, in MB; of the process on a CPU.
        pixels: Millions of pixels predicted per second.
        weights: Checksum of the model's weights.
        other_pixels: Share of pixels that the CPU's model predicts otherwise here than on the CPU; None on the CPU.
        stopped: How often training stopped and went on.
    """

    score: float
    chips: float
    bare: float
    memory: float
    pixels: float
    weights: str
    other_pixels: float | None
    stopped: int


def variants(gpus: int, can_compile: bool) -> list[Variant]:
    """List what is to be tried on a machine with so many GPUs."""
    tried = [Variant(REFERENCE, {"mixed_precision": "none"}, on_cpu=True)]
    if gpus:
        tried += [Variant(f"GPU, {IN_WORDS[precision]}", {"mixed_precision": precision}) for precision in PRECISIONS]
    steady = {"mixed_precision": "bf16" if gpus else "none", "deterministic": True}
    tried += [Variant(ALONE, steady), Variant(INTERRUPTED, steady, stops=2)]
    if gpus and can_compile:
        tried.append(Variant("GPU, bf16, compiled", {"mixed_precision": "bf16", "compile": True}))
    if gpus != 1:
        together = {"mixed_precision": steady["mixed_precision"], "gpus": gpus or 2}
        tried.append(Variant(f"all {gpus} GPUs" if gpus else "2 processes on the CPU", together))
    return tried


# --- one variant, in a process of its own -----------------------------------------------------------


def measure(variant: Variant, config: dict[str, Any], work: Path) -> Result:
    """Train and predict, in a working directory with the demo's chips.

    Args:
        variant: How.
        config: The experiment.
        work: Folder, from the working directory, for all variants' results; the reference has to be there first.
    """
    import pandas as pd

    from swath.errors import ToBeContinuedError
    from swath.training.train import train_model

    model = work / variant.name.replace(", ", "-").replace(" ", "-")
    job = training_job(config, str(model), **variant.train)
    model.mkdir(parents=True)
    stopped = 0
    for _ in range(variant.stops):
        try:
            train_model(replace(job, deadline=time.time()), outputs_in(model))
        except ToBeContinuedError:
            stopped += 1
    train_model(job, outputs_in(model))
    timing = pd.read_csv(model / "timing.csv")
    on_gpu = timing["peak_gpu_memory_mb"].max()
    speed = predict(config, model, model / "maps")
    reference, again = work / REFERENCE, model / "maps-of-reference"
    other = None
    if variant.name != REFERENCE:
        predict(config, reference, again)
        other = difference(again, reference / "maps")
    return Result(
        score=float(pd.read_csv(model / "metrics.csv")["macro_f1"].max()),
        chips=float(timing["samples_per_second"].iloc[1:].median()),
        bare=bare_speed(config, work, variant) if variant.train.get("gpus", 1) == 1 else float("nan"),
        memory=float(on_gpu or timing["peak_memory_mb"].max()),
        pixels=speed,
        weights=checksum_of_weights(model / "model-bundle.zip"),
        other_pixels=other,
        stopped=stopped,
    )


def predict(config: dict[str, Any], model: Path, folder: Path) -> float:
    """Predict the validation scenes, as maps in a folder; return millions of pixels per second."""
    from swath.config.predict import Window
    from swath.prediction.model import Computing
    from swath.prediction.predict import predict_scenes

    plan = planned(config)
    run, settings = plan.runs[0], plan.experiment
    job = training_job(config, str(model))
    scenes = [facts for facts in job.scenes if facts.split == "validation"]
    window = Window(**plan.specs["predictions"][run.predictions]["predict"])
    computing = Computing(settings.predict.batch_size, settings.train.channels_last, deterministic=True)
    started = time.perf_counter()
    predict_scenes(scenes, job.options, model, window, computing, job.colours, folder, folder / "manifest.json")
    pixels = sum(facts.width * facts.height for facts in scenes)
    return pixels / 1e6 / (time.perf_counter() - started)


def difference(maps: Path, others: Path) -> float:
    """Return the share of pixels whose class differs between two folders of maps."""
    import numpy as np
    import rasterio

    differing, all_pixels = 0, 0
    for file in sorted(others.rglob("prediction.tif")):
        with rasterio.open(file) as one, rasterio.open(maps / file.relative_to(others)) as other:
            differs = one.read(1) != other.read(1)
        differing, all_pixels = differing + int(np.count_nonzero(differs)), all_pixels + differs.size
    return differing / all_pixels


def bare_speed(config: dict[str, Any], work: Path, variant: Variant) -> float:
    """Train on batches that lie on the device; return chips per second."""
    import tempfile

    import torch

    from swath.training.data import training_loader
    from swath.training.hardware import choose_hardware
    from swath.training.learner import build_learner, describe_training

    job = training_job(config, str(work / "bare"), **variant.train)
    hardware = choose_hardware(job.train)
    device = torch.device("cuda" if hardware.accelerator == "gpu" else "cpu")
    kind = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(hardware.precision)
    with tempfile.TemporaryDirectory() as temporary:
        learner = build_learner(job, describe_training(job), Path(temporary))
        model = learner.model.to(device).train()
        if job.train.channels_last:
            model.to(memory_format=torch.channels_last)
        if job.train.compile:
            model.compile(dynamic=False)
        layout = torch.channels_last if job.train.channels_last else torch.contiguous_format
        loader = training_loader(learner, 0, 0, lambda: (0, 0), 0, 1)
        batches = [(x.to(device).contiguous(memory_format=layout), y.to(device)) for x, y in loader]
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        scaler = torch.amp.GradScaler(device.type, enabled=kind is torch.float16)
        seconds = []
        for _ in range(3):
            _wait_for(device)
            started = time.perf_counter()
            for images, labels in batches:
                optimizer.zero_grad()
                with torch.autocast(device.type, kind, enabled=kind is not None):
                    loss = learner.loss(learner.post_forward(model(images)), labels)
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
            _wait_for(device)
            seconds.append(time.perf_counter() - started)
    return sum(len(images) for images, _ in batches) / min(seconds[1:])


def _wait_for(device: Any) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)


def checksum_of_weights(bundle: Path) -> str:
    """Return a short checksum of the weights in a bundle."""
    import hashlib

    with zipfile.ZipFile(bundle) as opened:
        return hashlib.sha256(opened.read("model.pth")).hexdigest()[:12]


# --- all variants -----------------------------------------------------------------------------------


def what_is_wrong(results: Mapping[str, Result], tried: Sequence[Variant] = ()) -> list[str]:
    """Answer the three questions; one line for each no, and for each that could not be asked.

    Args:
        results: By variant, the reference among them.
        tried: What should have results.
    """
    wrong = [f"{variant.name}: no result" for variant in tried if variant.name not in results]
    for name, result in results.items():
        reference = results.get(REFERENCE)
        if reference and not abs(result.score - reference.score) <= SCORE_TOLERANCE:  # nor may it be undefined
            wrong.append(f"{name}: macro-F1 {result.score:.3f}, on the CPU {reference.score:.3f}")
        if result.other_pixels is not None and result.other_pixels > MAP_TOLERANCE:
            wrong.append(f"{name}: {result.other_pixels:.2%} of the pixels of the CPU's model get another class")
    if ALONE in results and INTERRUPTED in results:
        resumed = results[INTERRUPTED]
        if not resumed.stopped:
            wrong.append(f"{INTERRUPTED}: was never interrupted")
        if resumed.weights != results[ALONE].weights:
            wrong.append(f"{INTERRUPTED}: other weights than without interruption")
    return wrong


def table(results: Mapping[str, Result]) -> str:
    """Write the results as a table in Markdown."""
    lines = [
        "| | macro-F1 | chips/s | of the bare loop | idle | memory, MB | predicted, million pixels/s | other pixels |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, result in results.items():
        share = result.chips / result.bare
        shares = ("", "") if share != share else (f"{share:.2f}", f"{max(0.0, 1 - share):.0%}")
        other = "" if result.other_pixels is None else f"{result.other_pixels:.3%}"
        lines.append(
            f"| {name} | {result.score:.3f} | {result.chips:.0f} | {shares[0]} | {shares[1]} | {result.memory:.0f} "
            f"| {result.pixels:.2f} | {other} |"
        )
    return "\n".join(lines)


def machine() -> tuple[str, int]:
    """Describe the machine; and count its GPUs."""
    import torch

    names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    gpus = f"{len(names)} × {names[0]}" if names else "no GPU here: the same checks run on the CPU"
    return f"Python {platform.python_version()}, torch {torch.__version__}, {os.cpu_count()} cores, {gpus}", len(names)


def run_variants(tried: Sequence[Variant], arguments: argparse.Namespace, ends: float) -> dict[str, Result]:
    """Run variants one after the other, each in a process of its own, as long as there is time."""
    results: dict[str, Result] = {}
    for variant in tried:
        said = run_variant(variant, arguments, ends - time.monotonic())
        if isinstance(said, Result):
            results[variant.name] = said
        print(f"{variant.name}: {f'macro-F1 {said.score:.3f}' if isinstance(said, Result) else said}", flush=True)
        if variant.name == REFERENCE and variant.name not in results:
            break  # there is nothing to compare the others with
    return results


def run_variant(variant: Variant, arguments: argparse.Namespace, seconds: float) -> Result | str:
    """Run a variant in a process of its own; return what was measured, or why nothing was."""
    if seconds < 20:
        return "not run, no time left"
    command = [sys.executable, __file__, str(arguments.folder), "--epochs", str(arguments.epochs)]
    log = arguments.folder / "gpu.log"
    with log.open("a") as errors:
        process = subprocess.Popen(
            [*command, "--only", json.dumps(asdict(variant))],
            env={**os.environ, **({"CUDA_VISIBLE_DEVICES": ""} if variant.on_cpu else {})},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with all that train together
            process.wait()
            return "ended, no time left"
    return f"FAILED, see {log}" if process.returncode else Result(**json.loads(output.splitlines()[-1]))


def main() -> None:
    """Check, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where it works; what is there already is not made again")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--minutes", type=float, default=10.0, help="what does not fit into them is left out")
    parser.add_argument("--prepare", action="store_true", help="fetch data and cut chips, no more")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.folder = arguments.folder.resolve()
    config = demo_config(train={"epochs": arguments.epochs}, sweep={"grid": {}})
    if arguments.only:
        os.chdir(arguments.folder)
        print(json.dumps(asdict(measure(Variant(**json.loads(arguments.only)), config, Path("gpu")))))
        return
    make_chips(arguments.folder, config)
    if arguments.prepare:
        return
    ends = time.monotonic() + 60 * arguments.minutes
    described, gpus = machine()
    print(described, flush=True)
    earlier = arguments.folder / "gpu"
    if earlier.exists():
        earlier.rename(arguments.folder / f"gpu-until-{time.strftime('%Y%m%d-%H%M%S')}")
    compilers = any(os.access(Path(place) / "g++", os.X_OK) for place in os.environ["PATH"].split(os.pathsep))
    tried = variants(gpus, compilers)
    results = run_variants(tried, arguments, ends)
    wrong = what_is_wrong(results, tried)
    report = f"{described}\n\n{table(results)}\n\n" + ("\n".join(wrong) if wrong else "All is well.") + "\n"
    (arguments.folder / "gpu.md").write_text(report)
    print(f"\n{report}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    sys.path.insert(0, str(REPOSITORY / "scripts"))
    main()
