"""Data sets of the demo and of the examples: fetched or made by rules, so that nobody needs data of their own."""
