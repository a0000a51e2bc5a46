"""Templates of pages: each extends ``dress.html.jinja``, which has the style of all of them."""

from __future__ import annotations

import math
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, Template

HERE = Path(__file__).parent


def template(path: Path) -> Template:
    """Load a page's template; what is put into it is text, unless it is marked as HTML.

    Args:
        path: The template. It may extend what lies beside it, and the dress of all pages.
    """
    loader = FileSystemLoader([path.parent, HERE])
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["score"] = in_three_digits
    return environment.get_template(path.name)


def in_three_digits(value: float | None) -> str:
    """Write a score; nothing where it is undefined."""
    return "" if value is None or not math.isfinite(value) else f"{value:.3f}"
