"""Which class a feature of vector labels has: its attribute, the mapping, the default class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import yaml

from swath.config.classes import NULL_CLASS
from swath.config.labels import Labels
from swath.errors import Problem, UserError, did_you_mean
from swath.scenes.facts import LabelCounts

NO_VALUE = "(empty)"
"""How a value that is not there is called."""
BY_MAPPING, BY_NAME, BY_DEFAULT, CLASSLESS = "mapping", "name", "default", "classless"
"""How a feature came to its class."""
LISTS = (list, tuple, np.ndarray, dict, set)


def classes_of(labels: gpd.GeoDataFrame, path: str, options: Labels, classes: Sequence[str]) -> pd.DataFrame:
    """Say each feature's class.

    What is mapped to `null` counts as unlabelled: as the null class, or as the class that `labels.unlabelled` names.
    A feature whose attribute is empty is of the default class; without one it is of the null class, since nobody knows
    what it is.

    Args:
        labels: The features.
        path: Their file.
        options: The `labels` settings.
        classes: Class names by id.

    Returns:
        By feature `class_name`, `value` (of the attribute, as text) and `by` (how it came to its class).

    Raises:
        UserError: For an attribute that is not there or holds lists, and for unknown classes.
    """
    attribute, default = options.attribute, options.default_class
    if attribute is None:
        return pd.DataFrame({"class_name": default, "value": NO_VALUE, "by": BY_NAME}, index=labels.index)
    if attribute not in labels.columns:
        columns = [column for column in labels.columns if column != labels.geometry.name]
        raise UserError(
            Problem(
                "unknown_attribute",
                path,
                f"attribute {attribute}",
                "attributes " + (", ".join(columns) or "none"),
                f"the attribute {attribute!r} named by `labels.attribute`",
                did_you_mean(attribute, columns),
            )
        )
    _check_values(labels[attribute], path, attribute)
    unlabelled = NULL_CLASS if options.unlabelled == "ignore" else options.unlabelled
    known: dict[Any, tuple[str, str, str]] = {}
    problems = []
    for value in labels[attribute].unique():
        text = _written(value)
        if text is None:
            known[NO_VALUE] = (default or NULL_CLASS, NO_VALUE, BY_DEFAULT if default else CLASSLESS)
        elif text in options.mapping:
            known[value] = (options.mapping[text] or unlabelled, text, BY_MAPPING)
        elif text in classes:
            known[value] = (text, text, BY_NAME)
        elif default is not None:
            known[value] = (default, text, BY_DEFAULT)
        else:
            problems.append(_unknown_class(path, attribute, text, classes))
    if problems:
        raise UserError(problems)
    found = [known[NO_VALUE if _written(value) is None else value] for value in labels[attribute]]
    return pd.DataFrame(found, columns=["class_name", "value", "by"], index=labels.index)


def counts_of(named: pd.DataFrame, loose_parts: int) -> LabelCounts:
    """Count how features came to their classes.

    Args:
        named: Of the features on the image, what :func:`classes_of` says.
        loose_parts: Lines and points beside polygons.
    """
    defaulted = named["value"][named["by"] == BY_DEFAULT].value_counts()
    return LabelCounts(
        features=len(named),
        classless=int((named["by"] == CLASSLESS).sum()),
        met=tuple(sorted(set(named["value"][named["by"] == BY_MAPPING]))),
        defaulted={str(value): int(number) for value, number in sorted(defaulted.items())},
        loose_parts=loose_parts,
    )


def _written(value: Any) -> str | None:
    """Write a value as the config does; None for an empty one, which in text is one of spaces alone."""
    if pd.isna(value) or (isinstance(value, str) and not value.strip()):
        return None
    whole = isinstance(value, float | np.floating) and np.isfinite(value) and value == int(value)
    return str(int(value)) if whole else str(value)


def _check_values(values: pd.Series[Any], path: str, attribute: str) -> None:
    odd = [value for value in values if isinstance(value, LISTS)]
    if odd:
        written = str(odd[0]).replace("\n", " ")[:40]
        found = f"{len(odd)} of {len(values)} features hold lists, such as {written}"
        cure = "write one value per feature, or name another attribute in `labels.attribute`"
        raise UserError(
            Problem("attribute_holds_lists", path, f"attribute {attribute}", found, "one word or number each", cure)
        )


def quoted(text: str) -> str:
    """Write a value as YAML takes it for text: in quotes, where it would read a number, a date or a truth value."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return f'"{text}"'
    same = value == text or (type(value) is int and str(value) == text)
    return text if same else f'"{text}"'


def _unknown_class(path: str, attribute: str, text: str, classes: Sequence[str]) -> Problem:
    return Problem(
        "unknown_class",
        path,
        f"attribute {attribute}",
        f"unknown class {text!r}",
        "one of " + ", ".join(classes[1:]),
        f"add it to `classes`, or to `labels.mapping` ({quoted(text)}: <class>, or {quoted(text)}: null to ignore it); "
        + did_you_mean(text, classes[1:]),
    )
