"""The config: one module per section, defaults and explanations in the models."""

from swath.config.experiment import Experiment
from swath.config.load import load_experiment, read_yaml

__all__ = ["Experiment", "load_experiment", "read_yaml"]
