"""Definitions of networks: folders with a `hubconf.py`, which travel in bundles. Imports no torch."""
