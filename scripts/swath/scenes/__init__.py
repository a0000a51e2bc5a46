"""Scenes: the table of what there is, the reading and checking of headers and labels."""
