"""Writes what is generated: from the config models the schema, the annotated demo config and the reference; the checks.

Run it with `make reference`.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic.fields import FieldInfo

from checks_manual import checks_page
from swath.config.base import Section, keys_of
from swath.config.experiment import Experiment
from swath.config.imagery import Range
from swath.config.model import TrialWeights
from swath.config.pipeline import PipelineExperiment
from swath.config.ranges import Distribution

REPOSITORY = Path(__file__).parents[1]
SCHEMA, DEMO_CONFIG, PAGE = "config/schema.json", "config/config.yaml", "docs/reference.md"
CHECKS_PAGE, BAD_INPUTS = "docs/checks.md", "tests/workflow/test_bad_inputs.py"
AGAIN = "Written by `make reference` from scripts/swath/config; change it there."

DEMO: dict[str, Any] = {
    "experiment": "havel-land-use",
    "classes": {"open land": "#e3c567", "forest": "#2f6b3a", "residential": "#c2584f", "water": "#2b6cb0"},
    "scenes": {"table": "resources/havel/scenes.csv"},
    "imagery": {"bands": ["B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B11", "B12"]},
    "labels": {
        "attribute": "class_name",
        "mapping": {"farmland": "open land", "grassland": "open land", "wetland": None},
    },
    "chips": {"size": 64, "per_scene": 250, "min_labelled": 0.3},
    "model": {"encoder": "tu-resnet10t", "arguments": {"encoder_depth": 2, "decoder_channels": [32, 16]}},
    "train": {"epochs": 8, "batch_size": 8, "threads": 1},
    "predict": {"chip_size": 128, "smooth": "tapered", "scores": True},
    "sweep": {"grid": {"train.learning_rate": [1.0e-3, 3.0e-3, 1.0e-2]}},
}
"""The demo: what it says differently from the defaults, and what has no default."""

CHECKS_INTRO = """# Checks: what is looked at before anything starts

<!-- Written by `make reference` from swath.error_codes and the tests of bad inputs; change it there. -->

`snakemake --cores 1 validate` reads the headers of all images, the labels, and a sample of every image's pixels,
without torch, and tells everything it finds at once: on the terminal, what must be cured first, and in
`results/experiments/<name>/validation.html`, with a table of the scenes and the balance of classes. A thousand scenes
of 650 × 650 pixels take less than a minute on two cores; a large image takes no longer than a small one, as only so
many pixels of it are read.

The same runs by itself whenever a run starts (not with `-n`), before the first job. What was read of a scene is
remembered in `.snakemake/swath-readings`: scenes that have not changed are not read again, so that it costs next to
nothing. Scenes that a rule has yet to make are left out until they are there. What a check cannot see in a sample, a
few damaged pixels within a huge image for instance, is found by the stage that reads them.

Every message, of whatever part of Swath, begins with its level and its code, the word that stays when sentences
change:

```text
ERROR unknown_key
config.yaml:12: train.learningrate
  found:    unknown key 'learningrate'
  cure:     did you mean 'learning_rate'?
```

Below are all codes there are."""

EXPLAINED = {
    "experiment": "Sentinel-2 of 16 February 2017, the Havel west of Berlin, with OpenStreetMap land use (attribution: "
    "see README.md). "
    "Every key there is stands here; those in comments show their defaults.",
}


def generated() -> dict[str, str]:
    """Return every generated file's path in the repository and content."""
    return {
        SCHEMA: schema(),
        DEMO_CONFIG: annotated_config(),
        PAGE: reference_page(),
        CHECKS_PAGE: checks_page(CHECKS_INTRO, REPOSITORY / BAD_INPUTS),
    }


def schema() -> str:
    """Write the JSON schema, for editors that check and complete YAML."""
    return json.dumps(Experiment.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


def annotated_config() -> str:
    """Write the demo's config with every key explained."""
    lines = [
        *_comment(f"The demo. {AGAIN}"),
        *_comment(EXPLAINED["experiment"]),
        "# yaml-language-server: $schema=schema.json",
    ]
    for name, field in Experiment.model_fields.items():
        lines += ["", *_comment(_description(field))]
        section = _section(field)
        lines += _section_lines(name, section) if section else _value_lines(name, DEMO.get(name, _default(field)), "")
    return "\n".join(lines) + "\n"


def _section_lines(name: str, section: type[Section]) -> Iterator[str]:
    yield f"{name}:"
    said = DEMO.get(name, {})
    for key, field in keys_of(section).items():
        yield from _comment(_description(field), "  ")
        if key in said:
            yield from _value_lines(key, said[key], "  ")
        else:
            yield from (f"  # {line.strip()}" for line in _value_lines(key, _default(field), ""))


def _value_lines(key: str, value: Any, indent: str) -> Iterator[str]:
    """Write a key and its value: mappings of the top level in lines, everything else on one."""
    if isinstance(value, Mapping) and value and not indent:
        yield f"{key}:"
        for name, entry in value.items():
            yield f"  {name}: {_flow(entry)}"
    else:
        yield f"{indent}{key}: {_flow(value)}"


def _flow(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, Section):
        value = value.model_dump(mode="json", exclude_defaults=len(type(value).model_fields) > 2)  # else a whole line
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000, allow_unicode=True)
    return text.removesuffix("...\n").strip()


def _comment(text: str, indent: str = "") -> list[str]:
    return [f"{indent}# {line}" for line in textwrap.wrap(text, 116 - len(indent))]


def reference_page() -> str:
    """Write the reference: every section, every key, its type, default and meaning."""
    lines = [
        "# Reference: the config file",
        "",
        f"<!-- {AGAIN} -->",
        "",
        "Paths start at the folder Snakemake runs in (or its `--directory`); paths in a scene table start at the",
        "table. Dotted names, such as `train.learning_rate`, are what `sweep` takes.",
    ]
    top = {name: field for name, field in Experiment.model_fields.items() if not _section(field)}
    lines += ["", "## Top level", "", *_table(top)]
    for name, field in Experiment.model_fields.items():
        section = _section(field)
        if section:
            lines += ["", f"## `{name}`", "", section.__doc__ or "", "", *_table(keys_of(section))]
            lines += _nested_tables(name, section)
    lines += [
        "",
        "## With `pipeline`",
        "",
        "A Raster Vision module of your own, see own-pipelines.md; nothing else stands",
    ]
    lines += ["beside these keys.", "", *_table(PipelineExperiment.model_fields)]
    return "\n".join(lines) + "\n"


def _nested_tables(name: str, section: type[Section]) -> Iterator[str]:
    nested: dict[str, tuple[str, type[Section]]] = {
        "imagery": ("A range of `normalize`", Range),
        "model": ("A trial as `weights`", TrialWeights),
        "sweep": ("An entry of `random.settings`", Distribution),
    }
    if name in nested:
        title, inner = nested[name]
        yield from ("", f"### {title}", "", *_table(inner.model_fields))
    for key, field in section.model_fields.items():
        inner_section = _section(field)
        top = Experiment.model_fields.get(key)
        if inner_section and not (top and _section(top) is inner_section):  # that one has a table of its own
            yield from ("", f"### `{name}.{key}`", "", *_table(inner_section.model_fields))


def _table(fields: Mapping[str, FieldInfo]) -> Iterator[str]:
    yield "| key | default | meaning |"
    yield "|---|---|---|"
    for key, field in fields.items():
        default = "*required*" if field.is_required() else "" if _section(field) else f"`{_flow(_default(field))}`"
        yield f"| `{key}` | {default} | {_description(field)} |"


def _description(field: FieldInfo) -> str:
    section = _section(field)
    text = field.description or (section.__doc__ if section else "") or ""
    return " ".join(text.split()).replace("|", "\\|")


def _default(field: FieldInfo) -> Any:
    return None if field.is_required() else field.get_default(call_default_factory=True)


def _section(field: FieldInfo) -> type[Section] | None:
    candidates = [field.annotation, *getattr(field.annotation, "__args__", ())]
    found = [c for c in candidates if isinstance(c, type) and issubclass(c, Section)]
    return found[0] if found and found[0] not in (Range, TrialWeights) else None


if __name__ == "__main__":  # in a folder that is named, or in the repository
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY
    for path, content in generated().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
        print(path)
