"""How large networks are, for the preflight, which does not import torch: ``python -m swath.rv.network_sizes``.

It takes networks and their numbers of bands as JSON on its input, and writes for each its size, or what keeps it from
being built.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict

from pydantic import JsonValue

from swath.config.records import of_json
from swath.errors import UserError
from swath.rv.limits import size_of
from swath.search.limits import Network


def sizes(asked: Sequence[tuple[JsonValue, int]]) -> list[dict[str, JsonValue]]:
    """Build networks, one after the other.

    Args:
        asked: The fields of a :class:`swath.search.limits.Network`, and how many bands it sees.

    Returns:
        What :func:`swath.rv.limits.size_of` says of each; of one that cannot be built, the :class:`Problem`'s fields.
    """
    found: list[dict[str, JsonValue]] = []
    for network, bands in asked:
        try:
            found.append(dict(size_of(of_json(Network, network), bands)))
        except UserError as error:
            found.append(asdict(error.problems[0]))
    return found


def main() -> None:
    """Answer the request on the input; what libraries print goes to standard error, but for what is no warning."""
    logging.disable(logging.INFO)
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    json.dump(sizes(json.load(sys.stdin)), answer)
    answer.close()


if __name__ == "__main__":
    main()
