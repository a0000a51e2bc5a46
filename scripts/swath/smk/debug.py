"""Run a rule's script under a debugger: its ``snakemake`` object rebuilt from the rule's name and wildcards.

From a working directory in which what the rule reads has been made:

``PYTHONPATH=<repository>/scripts python -m pdb -m swath.smk.debug train key=894459c79f06 configfile=my.yaml``

There are words alone, no options: the debugger of Python 3.13.0 takes options for its own. An editor's debugger starts
the same module with the same arguments. A script then leaves its streams alone, so that the
debugger keeps the terminal; everything else is as in a run, outputs included.
"""

from __future__ import annotations

import argparse
import os
import runpy
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from snakemake.api import SnakemakeApi
from snakemake.iocontainers import Snakemake
from snakemake.jobs import Job
from snakemake.settings.types import ConfigSettings, OutputSettings, Quietness, ResourceSettings

from swath.job.run_script import KEEP_STREAMS

REPOSITORY = Path(__file__).parents[3]


@contextmanager
def rebuilt_job(
    rule: str, wildcards: Mapping[str, str], config: Path | None = None
) -> Iterator[tuple[Snakemake, Path]]:
    """Rebuild what a rule's script gets, and name the script.

    Args:
        rule: Name of the rule.
        wildcards: Its wildcards, as its output paths have them.
        config: The config; the demo's when left out.

    Raises:
        KeyError: If the rule needs a wildcard that is not given, or there is no such key in the plan.
    """
    settings = ConfigSettings(configfiles=[config] if config else [])
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        parsed = api.workflow(ResourceSettings(cores=os.cpu_count()), settings, snakefile=REPOSITORY / "Snakefile")
        parsed.dag()
        workflow = parsed._workflow
        workflow._prepare_dag(forceall=False, ignore_incomplete=True, lock_warn_only=True)
        found = workflow.get_rule(rule)
        job = Job(found, workflow.dag, wildcards_dict=dict(wildcards))
        given = [job.input, job.output, job.params, job.wildcards, job.threads, job.resources, job.log]
        script = REPOSITORY / "rules" / found.script if not Path(found.script).is_absolute() else Path(found.script)
        yield Snakemake(*given, job.rule.module_globals["config"], rule, None, str(script.parent)), script.resolve()


def main(arguments: list[str]) -> None:
    """Run a rule's script; see the module."""
    parser = argparse.ArgumentParser(prog="swath.smk.debug", description=__doc__.splitlines()[0])
    parser.add_argument("rule", help="name of the rule")
    parser.add_argument(
        "words", nargs="*", help="its wildcards: key=894459c79f06; and configfile=my.yaml, the demo's when left out"
    )
    given = parser.parse_args(arguments)
    if odd := [word for word in given.words if "=" not in word]:
        parser.error(f"{', '.join(odd)}: expected words such as key=894459c79f06 or configfile=my.yaml")
    words = dict(word.split("=", 1) for word in given.words)
    config = words.pop("configfile", None)
    os.environ[KEEP_STREAMS] = "1"
    with rebuilt_job(given.rule, words, Path(config) if config else None) as (snakemake, script):
        runpy.run_path(str(script), init_globals={"snakemake": snakemake}, run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
