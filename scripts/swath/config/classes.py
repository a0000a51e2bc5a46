"""`classes`: names and colours."""

from __future__ import annotations

import unicodedata
from typing import Annotated

from PIL import ImageColor
from pydantic import AfterValidator

from swath.config.base import mistake

NULL_CLASS = "null"
NULL_CLASS_ID = 0
TAKEN = ("macro", "mean", "avg")
"""Begin the columns of metrics.csv that are of all classes."""
MOST_BYTES = 100
"""Of a class's name."""


def _hex_colour(colour: str) -> str:
    try:
        red, green, blue = ImageColor.getrgb(colour)[:3]
    except ValueError:
        raise mistake("unknown_colour", "a colour name such as orange, or #rrggbb") from None
    return f"#{red:02x}{green:02x}{blue:02x}"


def _class_names(classes: dict[str, str]) -> dict[str, str]:
    if not classes:
        raise mistake("nothing_listed", "at least one class", "name one with its colour, such as `building: orange`")
    if NULL_CLASS in classes:
        expected = f"other names: the class {NULL_CLASS!r} is added by itself, for what has no label"
        raise mistake("null_class_named", expected, "leave it out", field=NULL_CLASS)
    for name in classes:
        if name in TAKEN:
            expected = "another name: metrics of all classes together are called so"
            raise mistake("unusable_class_name", expected, "rename the class", field=name, found=repr(name))
        if not name.strip() or name != name.strip() or any(unicodedata.category(letter) == "Cc" for letter in name):
            expected = "a name in one line, without spaces around it"
            raise mistake("unusable_class_name", expected, "rename the class", field=name, found=repr(name))
        if len(name.encode()) > MOST_BYTES:
            expected = f"at most {MOST_BYTES} bytes: a folder has this name"
            raise mistake(
                "unusable_class_name", expected, "shorten it", field=name, found=f"{len(name.encode())} bytes"
            )
    return classes


Colour = Annotated[str, AfterValidator(_hex_colour)]
Classes = Annotated[dict[str, Colour], AfterValidator(_class_names)]


def class_names(classes: dict[str, str]) -> list[str]:
    """Return the names by class id: the null class (unlabelled, no data) is 0, then the config's order."""
    return [NULL_CLASS, *classes]
