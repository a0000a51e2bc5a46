"""What a per-pixel random forest reaches on the demo's scenes, beside the demo's winner.

    snakemake --cores all && python benchmarks/random_forest.py

Both see the same bands and learn from the labelled pixels of the same training scenes.
"""

import sys
from pathlib import Path

import numpy as np
import rasterio
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, f1_score

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from swath.config.load import load_experiment, read_yaml
from swath.files import read_json
from swath.plan.plan import make_plan
from swath.report.figure import label_raster
from swath.scenes.manifest import channel_order, read_manifests
from swath.scenes.table import read_scenes

CONFIG = Path(__file__).parents[1] / "config" / "config.yaml"


def labelled_pixels(scenes, bands):
    """Return band values (pixels × bands) and class ids of all labelled pixels."""
    values, classes = [], []
    for facts in scenes:
        with rasterio.open(facts.image) as image:
            pixels = image.read([band + 1 for band in channel_order(facts, bands)])
        labels = label_raster(facts, pixels.shape[1:])
        values.append(pixels[:, labels > 0].T)
        classes.append(labels[labels > 0])
    return np.concatenate(values), np.concatenate(classes)


def row(name, accuracy, macro_f1, by_class):
    """Write a line of the table."""
    return f"| {name} | {accuracy:.3f} | {macro_f1:.3f} | " + " | ".join(f"{value:.2f}" for value in by_class) + " |"


config = read_yaml(CONFIG)
experiment = load_experiment(config)
key = make_plan(experiment, read_scenes(experiment.scenes), config).runs[0].scenes
winner = Path("results/experiments") / experiment.experiment / "winner"
scenes = read_manifests(Path("results/scenes", key).glob("*.json"))
training, test = ([facts for facts in scenes if facts.split == split] for split in ("train", "test"))
names = list(experiment.classes)

print("| test scenes, labelled pixels | accuracy | macro-F1 | " + " | ".join(f"F1 {name}" for name in names) + " |")
print("|---" * (3 + len(names)) + "|")
x, y = labelled_pixels(training, experiment.imagery.bands)
x_test, y_test = labelled_pixels(test, experiment.imagery.bands)
for balance in (None, "balanced"):
    forest = RandomForestClassifier(200, class_weight=balance, random_state=0, n_jobs=-1).fit(x, y)
    predicted = forest.predict(x_test)
    scores = f1_score(y_test, predicted, average=None)
    name = f"random forest, 200 trees{', balanced' if balance else ''}"
    print(row(name, accuracy_score(y_test, predicted), scores.mean(), scores))
metrics = read_json(winner / "metrics-test.json")["overall"]
print(row("demo's winner", metrics["accuracy"], metrics["macro_f1"], [metrics["f1"][name] for name in names]))
