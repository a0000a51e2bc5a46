"""What a module wanted from the network is told by its address."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

from swath.errors import UserError
from swath.own_module.configure import told_as_mistake_of
from swath.own_module.network import unreachable_address

NOBODY = "http://127.0.0.1:9/weights.pth"
"""Nobody listens there."""


def fetch(url: str) -> None:
    urlopen(url, timeout=5)  # as torch.hub does; its error names no address


def fetch_request(url: str) -> None:
    urlopen(Request(url, headers={"User-Agent": "x"}), timeout=5)


def hidden(url: str) -> None:
    """As libraries do: an error of their own in the place of the first one."""
    try:
        fetch(url)
    except URLError as error:
        raise RuntimeError("cannot load the model") from error


def told_by_the_library(url: str) -> None:
    raise ConnectionError(f"Max retries exceeded with url {url}")


@pytest.mark.parametrize("function", [fetch, fetch_request, hidden, told_by_the_library])
def test_the_address_is_told(function: object) -> None:
    with pytest.raises(UserError) as told, told_as_mistake_of("mine.py", "get_config, trial default"):
        function(NOBODY)  # type: ignore[operator]
    (problem,) = told.value.problems
    assert problem.code == "no_network"
    assert problem.found.startswith(f"no network: {NOBODY}")


def test_an_address_that_nobody_names_is_an_address() -> None:
    assert unreachable_address(socket.gaierror(-3, "Temporary failure in name resolution")) == "an address"


@pytest.mark.parametrize(
    "error", [ValueError("http://127.0.0.1/x"), HTTPError(NOBODY, 404, "not found", {}, None), FileNotFoundError("x")]
)
def test_other_mistakes_are_none_of_the_network(error: Exception) -> None:
    assert unreachable_address(error) is None
    with pytest.raises(UserError) as told, told_as_mistake_of(str(Path("mine.py")), "get_config"):
        raise error
    assert told.value.problems[0].code == "module_failed"
