"""Styles for QGIS, which shows names and colours of classes as soon as a map is opened.

QGIS takes the file of a layer's name with the ending ``.qml``: https://docs.qgis.org/latest/en/docs/user_manual/
appendices/qgis_file_formats.html
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as Xml

from PIL import ImageColor

HEAD = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
VERSION = "3.22"


def write_raster_style(classes: Sequence[str], colours: Sequence[str], path: Path) -> None:
    """Write the style of a raster of class ids: every class with its name and colour, the null class transparent."""
    root = Xml.Element("qgis", version=VERSION, styleCategories="Symbology")
    renderer = Xml.SubElement(
        Xml.SubElement(root, "pipe"), "rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1"
    )
    palette = Xml.SubElement(renderer, "colorPalette")
    for index, (name, colour) in enumerate(zip(classes, colours, strict=True)):
        if index:
            Xml.SubElement(
                palette, "paletteEntry", value=str(index), color=_hexadecimal(colour), label=name, alpha="255"
            )
    _write(root, path)


def write_polygon_style(classes: Sequence[str], colours: Sequence[str], path: Path) -> None:
    """Write the style of polygons with a column ``class_name``: every class with its colour."""
    root = Xml.Element("qgis", version=VERSION, styleCategories="Symbology")
    renderer = Xml.SubElement(root, "renderer-v2", type="categorizedSymbol", attr="class_name", symbollevels="0")
    categories, symbols = Xml.SubElement(renderer, "categories"), Xml.SubElement(renderer, "symbols")
    for index, (name, colour) in enumerate(list(zip(classes, colours, strict=True))[1:]):
        Xml.SubElement(categories, "category", value=name, label=name, symbol=str(index), render="true")
        symbol = Xml.SubElement(symbols, "symbol", type="fill", name=str(index), alpha="1", clip_to_extent="1")
        layer = Xml.SubElement(symbol, "layer", {"class": "SimpleFill", "enabled": "1", "locked": "0", "pass": "0"})
        options = Xml.SubElement(layer, "Option", type="Map")
        colours_of_qgis = ",".join(map(str, (*ImageColor.getrgb(colour)[:3], 255)))
        for key, value in {
            "color": colours_of_qgis,
            "outline_color": "35,35,35,255",
            "outline_style": "solid",
            "outline_width": "0.1",
            "outline_width_unit": "MM",
            "style": "solid",
        }.items():
            Xml.SubElement(options, "Option", name=key, value=value, type="QString")
    _write(root, path)


def write_point_style(column: str, classes: Sequence[str], hidden: Sequence[str], path: Path) -> None:
    """Write the style of points to be labelled: a form with a list of the classes, and columns that nobody sees.

    Args:
        column: The column to be filled in.
        classes: What can be chosen.
        hidden: Columns that would tell the interpreter what the map says.
        path: The file to write.
    """
    root = Xml.Element("qgis", version=VERSION, styleCategories="Fields|Forms|AttributeTable")
    fields = Xml.SubElement(root, "fieldConfiguration")
    for name in (column, *hidden):
        field = Xml.SubElement(fields, "field", name=name, configurationFlags="None")
        widget = Xml.SubElement(field, "editWidget", type="Hidden" if name in hidden else "ValueMap")
        options = Xml.SubElement(Xml.SubElement(widget, "config"), "Option", type="Map")
        if name not in hidden:
            choices = Xml.SubElement(options, "Option", name="map", type="List")
            for choice in classes:
                entry = Xml.SubElement(choices, "Option", type="Map")
                Xml.SubElement(entry, "Option", name=choice, value=choice, type="QString")
    columns = Xml.SubElement(Xml.SubElement(root, "attributetableconfig"), "columns")
    for name in hidden:
        Xml.SubElement(columns, "column", type="field", name=name, hidden="1")
    _write(root, path)


def _hexadecimal(colour: str) -> str:
    return "#{:02x}{:02x}{:02x}".format(*ImageColor.getrgb(colour)[:3])


def _write(root: Xml.Element, path: Path) -> None:
    Xml.indent(root)
    path.write_text(HEAD + Xml.tostring(root, encoding="unicode") + "\n", encoding="utf-8")
