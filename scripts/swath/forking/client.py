"""Run a script as ``python script.py`` would, but forked from a server: ``client.py FOLDER SCRIPT [ARGUMENT …]``.

This program takes part in every step, and therefore imports next to nothing.
"""

import marshal
import os
import signal
import socket
import struct
import sys
from types import FrameType

PASSED_ON = (
    *(signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2),
    *(signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH),
)


def main(folder: str, command: list[str]) -> None:
    """Have the command run, and end as it ends."""
    ignored = [int(number) for number in PASSED_ON if signal.getsignal(number) == signal.SIG_IGN]
    if signal.SIGINT not in ignored:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # as long as there is no script: no traceback of this program
    try:
        connection = _connect(folder)
        _send(connection, command, ignored)
        answer = connection.recv(1)
    except OSError as error:
        print(f"The fork server does not answer ({error}): the step is started as usual.", file=sys.stderr, flush=True)
        answer = b"R"
    if answer == b"":
        print("The fork server has ended: the step is started as usual.", file=sys.stderr, flush=True)
    if answer != b"B":  # the script has not begun
        os.execv(sys.executable, [sys.executable, *command])
    _pass_signals_on(connection, ignored)
    status = b""
    while len(status) < 4 and (part := connection.recv(4 - len(status))):
        status += part
    if len(status) < 4:
        print(f"The process that kept {command[0]} was killed, and the step with it.", file=sys.stderr)
        sys.exit(1)
    _end_as(struct.unpack("i", status)[0])


def _connect(folder: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    descriptor = os.open(folder, os.O_RDONLY)
    connection.connect(f"/proc/self/fd/{descriptor}/socket")  # a socket's path may have 107 bytes, a folder's more
    os.close(descriptor)
    return connection


def _send(connection: socket.socket, command: list[str], ignored: list[int]) -> None:
    umask = os.umask(0)
    os.umask(umask)
    request = {
        "client": os.getpid(),
        "command": command,
        "folder": os.getcwd(),  # noqa: PTH109 - pathlib takes its time
        "environment": dict(os.environb),
        "umask": umask,
        "ignored": ignored,
    }
    content = marshal.dumps(request)
    socket.send_fds(connection, [struct.pack("Q", len(content))], [0, 1, 2])
    connection.sendall(content)


def _pass_signals_on(connection: socket.socket, ignored: list[int]) -> None:
    def pass_on(number: int, frame: FrameType | None) -> None:
        try:
            connection.send(bytes([number]))
        except OSError:
            return  # the script has ended; so does this process
        if number == signal.SIGTSTP:
            os.kill(os.getpid(), signal.SIGSTOP)

    for number in PASSED_ON:
        if number not in ignored:
            signal.signal(number, pass_on)


def _end_as(status: int) -> None:
    """End as the script did; by the same signal, if it was one."""
    if os.WIFEXITED(status):
        os._exit(os.WEXITSTATUS(status))
    number = os.WTERMSIG(status)
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
