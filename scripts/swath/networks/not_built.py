"""What is told of a network that its library, or the user's own code, does not build."""

from __future__ import annotations

from swath.config.library_names import EXTERNAL
from swath.config.model import Model
from swath.errors import Problem
from swath.networks.definition import HUBCONF


def not_built(model: Model, error: Exception) -> Problem:
    """Say that a network cannot be built, and what its library has said of it.

    Args:
        model: The settings.
        error: What building it has ended with.
    """
    expected = "a network that can be built"
    if model.architecture == EXTERNAL:
        found, place = f"{model.entrypoint}: {type(error).__name__}: {error}", f"{model.definition}/{HUBCONF}"
        cure = "change `model.arguments`, or hubconf.py"
        return Problem("network_not_built", place, "model", found, expected, cure)
    found = f"{model.architecture} with {model.encoder}: {error}"
    return Problem("network_not_built", "config", "model", found, expected, "change `model`")
