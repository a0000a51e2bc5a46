"""`evaluate`: what is measured."""

from __future__ import annotations

from swath.config.base import Section


class Evaluate(Section):
    """What is measured. Every trial meets the validation scenes; the winner alone meets the test scenes, once."""

    test: bool = True
    """Predict and evaluate the test scenes with the winner."""
