"""The preflight: what can be seen from headers, labels, a few pixels and the config, before anything is computed."""
