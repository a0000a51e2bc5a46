"""What a command line says, read before Snakemake does.

Snakemake reads the files behind ``--configfile``, and runs the Python in them that ``__use_yte__`` asks for, before it
reads the Snakefile; of a file that is missing or no YAML it says little. `profiles/default`, which it reads first of
all, has them checked here.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from swath.config.load import read_yaml
from swath.config.plain_yaml import problems_in
from swath.errors import Problem, UserError, ending_the_program

ENDINGS = (".yaml", ".yml", ".json")
CONFIG_FILES = ("--configfile", "--configfiles")


def words_after(options: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """Read from a command line what follows an option: all words up to the next one.

    Args:
        options: The option's names.
        arguments: The command line, without the program.
    """
    words: list[str] = []
    reading = False
    for argument in arguments:
        if argument.startswith("-"):
            name, _, value = argument.partition("=")
            words += [value] if name in options and value else []
            reading = name in options and not value  # what follows `--option=value` is no part of it
        elif reading:
            words.append(argument)
    return words


def overrides(config: Mapping[str, Any]) -> list[str]:
    """Write settings as words that follow ``--config``, which mean the same when they are typed.

    Args:
        config: What Snakemake has read from ``--config``.
    """
    return [f"{name}={_as_yaml(value)}" for name, value in config.items()]


def _as_yaml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_as_yaml(name)}: {_as_yaml(of_name)}" for name, of_name in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_as_yaml, value)) + "]"
    if value is None:
        return ""
    text = str(value)
    return text if re.fullmatch(r"[\w./+*=@~%-]+", text) else json.dumps(text)


def executor_named(arguments: Sequence[str]) -> str:
    """Tell what runs jobs: a dry run does not say what would.

    Args:
        arguments: The command line, without the program.
    """
    from snakemake.cli import get_profile_dir  # whose modules are being imported when this one is

    if named := words_after(("--executor", "-e"), arguments):
        return named[-1]
    found = "local"
    for profile in words_after(("--profile",), arguments) or os.environ.get("SNAKEMAKE_PROFILE", "").split(","):
        file = get_profile_dir(profile) if profile else None
        if file is not None:
            found = str(read_yaml(file[1]).get("executor") or found)
    return found


def check_config_files_or_exit(arguments: Sequence[str]) -> None:
    """Refuse config files that are missing, no YAML, or that would have Python run.

    Args:
        arguments: The command line, without the program.
    """
    with ending_the_program():
        if sum(argument.partition("=")[0] in CONFIG_FILES for argument in arguments) > 1:
            files = words_after(CONFIG_FILES, arguments)
            raise UserError(
                Problem(
                    "settings_conflict",
                    "command line",
                    "--configfile",
                    "given twice: Snakemake would take the last one, and drop the others",
                    "one --configfile, which can name several files",
                    f"--configfile {' '.join(files)}: what later files say counts",
                )
            )
        check_config_files(words_after(CONFIG_FILES, arguments))


def check_config_files(files: Sequence[str]) -> None:
    """Check config files by themselves, as far as that goes before it is known what they are to say.

    Raises:
        UserError: With what is wrong with the first of them.
    """
    for number, file in enumerate(files):
        if number and not file.endswith(ENDINGS):
            target, given = file, " ".join(files[:number])
            raise UserError(
                Problem(
                    "file_missing",
                    "command line",
                    "--configfile",
                    f"{file}, which is no config file",
                    f"config files alone: Snakemake takes every word after --configfile for one, {target} as well",
                    f"name what is to be made first: snakemake {target} --configfile {given}",
                )
            )
        read_yaml(file)
    if misread := problems_in(files):
        raise UserError(misread)
