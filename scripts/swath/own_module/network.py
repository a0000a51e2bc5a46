"""What a user's module wanted from the network, where there is none."""

from __future__ import annotations

import re
import socket
import traceback
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError, URLError

UNREACHABLE = {"ConnectionError", "ConnectTimeout", "ProxyError", "EndpointConnectionError", "MaxRetryError"}
"""What libraries call their own errors of this kind: requests, urllib3, boto."""
ADDRESS = re.compile(r"\b(?:https?|ftp|s3|gs)://[^\s'\"<>)]+")


def unreachable_address(error: BaseException) -> str | None:
    """Name the address that could not be reached, if that is behind an error; "an address" where none is told.

    Args:
        error: What was raised; libraries hide such errors behind others of their own.
    """
    chain = list(_chain(error))
    if not any(_is_of_network(one) for one in chain):
        return None
    said = [address for one in chain for address in ADDRESS.findall(str(one))]
    known = [address for one in chain for address in _addresses_on_the_way(one)]
    return next(iter([*said, *known]), "an address")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        reason = getattr(error, "reason", None)  # as in URLError
        if isinstance(reason, BaseException):
            yield reason
        error = error.__cause__ or error.__context__


def _is_of_network(error: BaseException) -> bool:
    if isinstance(error, HTTPError):  # somebody answered
        return False
    names = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, URLError | socket.gaierror | TimeoutError | ConnectionError) or bool(names & UNREACHABLE)


def _addresses_on_the_way(error: BaseException) -> Iterator[str]:
    """Find addresses among the variables of the functions that an error went through, the innermost last."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        for value in list(frame.f_locals.values()):
            yield from ADDRESS.findall(_text(value))


def _text(value: Any) -> str:
    full = getattr(value, "full_url", None)  # of urllib's Request
    return value if isinstance(value, str) else full if isinstance(full, str) else ""
