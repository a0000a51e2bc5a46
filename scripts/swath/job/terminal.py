"""The user's terminal, while everything else that is printed goes to a log."""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

NAME = "swath"
CLEAR_LINE = "\r\033[K"
LOG_ALONE = "log_alone"
"""Set by a record, as part of its ``extra``, that is nothing for the terminal."""
TALKATIVE = ("pytorch_lightning.utilities", "pytorch_lightning.trainer", "rastervision.pytorch_learner", "pyogrio")
"""Whose lines, but for warnings, tell of devices that are not there, of defaults, and of what is being built."""
LOCKS = Path("/tmp")
"""A place that a container and its machine have in common."""

_locked: list[int] = []
"""Keeps the terminal that :func:`terminal_for_bar` has locked open until the process ends."""


class TerminalHandler(logging.StreamHandler[TextIO]):
    """Write a log's lines without tearing a progress bar apart."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line above whatever bar there is, another process's as well, which draws it again."""
        if getattr(record, LOG_ALONE, False):
            return
        clear = CLEAR_LINE if self.stream.isatty() else ""
        tqdm.write(clear + self.format(record), file=self.stream)
        self.flush()


def show_on(terminal: Any) -> None:
    """Send Swath's own lines to a terminal, too."""
    log = logging.getLogger(NAME)
    for handler in [handler for handler in log.handlers if isinstance(handler, TerminalHandler)]:
        log.removeHandler(handler)
    handler = TerminalHandler(terminal)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)


def hush_libraries() -> None:
    """Keep out of a log what only says how libraries work, and have them say everything else once."""
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("rastervision").propagate = False  # it has a handler of its own


def terminal() -> TextIO | None:
    """Return the stream that a person watches, None where there is no terminal."""
    stream = _stream()
    return stream if stream and stream.isatty() else None


def terminal_for_bar() -> TextIO | None:
    """Return the terminal, unless another process draws its bar there: trainings that run at once share no line."""
    stream = terminal()
    if stream is None or _locked:
        return stream
    try:
        descriptor = os.open(os.ttyname(stream.fileno()), os.O_WRONLY | os.O_NOCTTY)
    except OSError:  # it has no name in a container, but a number
        number = os.fstat(stream.fileno()).st_rdev
        descriptor = os.open(LOCKS / f"swath-bar-{os.getuid()}-{number}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    _locked.append(descriptor)
    return stream


def terminal_descriptor() -> int | None:
    """Return the file descriptor behind :func:`show_on`'s stream, for a child process."""
    stream = _stream()
    return stream.fileno() if stream else None


def _stream() -> TextIO | None:
    handlers = logging.getLogger(NAME).handlers
    return next((handler.stream for handler in handlers if isinstance(handler, TerminalHandler)), None)
