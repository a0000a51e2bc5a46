"""The documentation as a site: `make site`. Pages lie as in the repository, so that links hold here and on GitHub."""

from sphinx.application import Sphinx

project = "Swath"
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["*.md", "config/*.md", "docs/**.md"]
exclude_patterns = [".venv", ".cache", "results", "resources"]

html_theme = "furo"
html_title = "Swath"
html_copy_source = False
html_show_sphinx = False

myst_enable_extensions = ["fieldlist"]
myst_heading_anchors = 4  # headings can be linked as GitHub names them
nitpicky = True
suppress_warnings = ["misc.highlighting_failure"]  # GitHub knows the language csv

NAVIGATION = {
    "Tutorial": [
        "docs/tutorial/README",
        "docs/coming-from-raster-vision",
        "docs/coming-from-sbatch",
    ],
    "How to": [
        "docs/own-data",
        "docs/cluster",
        "docs/maps",
        "docs/accuracy",
        "docs/splits",
        "docs/search",
        "docs/cost",
        "docs/report",
        "docs/notebooks",
        "docs/own-pipelines",
        "docs/as-module",
        "docs/examples",
    ],
    "Explanation": ["docs/architecture", "docs/training", "docs/trust", "docs/benchmarks"],
    "Reference": ["docs/reference", "docs/checks", "config/README", "CONTRIBUTING", "CHANGELOG"],
}
PARTS = "docs/tutorial/README"


def toctree(pages: list[str], caption: str = "") -> str:
    """Navigation, as the site's parser takes it; GitHub would show it as a block of code."""
    options = [":hidden:", *([f":caption: {caption}"] if caption else [])]
    return "\n".join(["", "```{toctree}", *options, "", *(f"/{page}" for page in pages), "```", ""])


def add_navigation(app: Sphinx, name: str, source: list[str]) -> None:
    """Append the navigation to the front page, and the parts to the tutorial's."""
    if name == root_doc:
        source[0] += "".join(toctree(pages, caption) for caption, pages in NAVIGATION.items())
    elif name == PARTS:
        parts = (page for page in app.env.found_docs if page.startswith("docs/tutorial/") and page != PARTS)
        source[0] += toctree(sorted(parts))


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", add_navigation)
