"""Work that is done ahead, in a thread, while what was done already is used."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

T = TypeVar("T")


def ahead(items: Iterable[T], most: int = 2) -> Iterator[T]:
    """Yield an iterable's items, while a thread makes the next ones; what goes wrong there is raised here.

    Args:
        items: Used by the thread alone.
        most: How many are made ahead.
    """
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1) as thread:
        pending = deque(thread.submit(next, iterator, end) for _ in range(most))
        try:
            while (item := pending.popleft().result()) is not end:
                pending.append(thread.submit(next, iterator, end))
                yield cast(T, item)
        finally:  # whoever stops taking items waits for the one in work alone
            for item_to_come in pending:
                item_to_come.cancel()
