"""The config: one module per section, defaults and explanations in the models."""
