"""What a SLURM site offers, and whether jobs that are about to be submitted can ever start there.

SLURM lets a job wait forever that asks for more time than its partition allows, and refuses others with words that name
neither the rule nor the setting.
"""

from __future__ import annotations

import getpass
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import Any

from swath.cluster.slurm import ask
from swath.errors import Problem, UserError, did_you_mean

FIELDS = "%R|%l|%c|%m|%D|%G"
UNLIMITED = 10**9
SLURM = ("slurm_account", "slurm_cluster", "slurm_extra", "slurm_partition")
"""Resources that only SLURM knows."""
CLUSTERS = ("cluster", "clusters", "slurm_cluster")
"""Resources that name another cluster."""
GRES = re.compile(r"[A-Za-z0-9_]+(:[A-Za-z0-9_.]+)?(:\d+[TGM]?)?")
MODEL = re.compile(r"[A-Za-z0-9_.]+")
"""What Snakemake's executor takes."""
ON_GPUS = ("train", "train_rung", "predict", "apply_part")
"""Rules that compute on GPUs."""
PROFILE = "the profile's `set-resources` and `default-resources`"
"""Where a user says what jobs ask for."""


@dataclass(frozen=True)
class Nodes:
    """Equal nodes of a partition.

    Attributes:
        partition: Name of the partition.
        minutes: The longest job.
        cpus: Per node.
        memory: Per node, in MB.
        number: How many there are.
        gpus: GPUs per node by type; the type is empty where the site names none.
    """

    partition: str
    minutes: int
    cpus: int
    memory: int
    number: int
    gpus: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        gpus = ", ".join(f"{number} × {name or 'gpu'}" for name, number in self.gpus.items())
        nodes = f"{self.number} node{'s' * (self.number != 1)}"
        return f"{self.partition}: {nodes} with {gpus}" if gpus else f"{self.partition}: {nodes} without GPUs"


@dataclass(frozen=True)
class Request:
    """What a rule's jobs ask for.

    Attributes:
        rule: Name of the rule.
        account: What is charged; empty for the user's default.
        partition: Name of the partition; empty for the site's default.
        minutes: Wall time.
        cpus: Cores.
        memory: MB.
        gpu: GPUs; None if nothing is said.
        model: Their type; empty for any.
        gres: A GRES string; empty for none.
        used: GPUs that the job's work uses; 0 if that does not matter.
        cluster: Another cluster; empty for this one.
        unknown: Names like the executor's resources that are none.
    """

    rule: str
    account: str = ""
    partition: str = ""
    minutes: int = 0
    cpus: int = 1
    memory: int = 0
    gpu: int | None = None
    model: str = ""
    gres: str = ""
    used: int = 0
    cluster: str = ""
    unknown: tuple[str, ...] = ()

    @property
    def gpus(self) -> dict[str, int]:
        """GPUs by type, as ``Nodes`` has them."""
        if found := gpus_of(self.gres):
            return found
        number = (1 if self.model else 0) if self.gpu is None else self.gpu
        return {self.model: number} if number else {}


def request_of(rule: str, resources: Mapping[str, Any], threads: int, used: int = 0) -> Request:
    """Read what a rule's job asks for.

    Args:
        rule: Name of the rule.
        resources: By Snakemake's names, evaluated.
        threads: Cores.
        used: GPUs that the job's work uses; 0 if that does not matter.
    """
    return Request(
        rule=rule,
        account=str(resources.get("slurm_account") or ""),
        partition=str(resources.get("slurm_partition") or ""),
        minutes=_number(resources.get("runtime")),
        cpus=_number(resources.get("cpus_per_task")) or threads,
        memory=_number(resources.get("mem_mb")),
        gpu=None if resources.get("gpu") is None else _number(resources.get("gpu")),
        model=str(resources.get("gpu_model") or ""),
        gres=str(resources.get("gres") or ""),
        used=used,
        cluster=next((str(found) for name in CLUSTERS if (found := resources.get(name))), ""),
        unknown=tuple(name for name in sorted(resources.keys()) if name.startswith("slurm_") and name not in SLURM),
    )


def _number(value: Any) -> int:
    """Take what is known; what depends on files that are not there yet is asked for later."""
    return value if isinstance(value, int) else 0


def gpus_of(gres: str) -> dict[str, int]:
    """Read GPUs by type from a GRES string of a node or of a job: ``gpu:2``, ``gpu:a100:4(S:0-1)``, ``gpu:3090``."""
    found: dict[str, int] = {}
    for resource in re.sub(r"\([^)]*\)", "", gres).split(","):
        name, *rest = resource.strip().split(":")
        if name != "gpu":
            continue
        number = rest.pop() if rest and rest[-1].isdigit() else "1"
        kind = rest[0] if rest else ""
        found[kind] = found.get(kind, 0) + int(number)
    return found


def minutes_of(limit: str) -> int:
    """Read SLURM's time: ``1-12:30:00``, ``8:00:00``, ``30:00``, ``infinite``."""
    if not re.fullmatch(r"[\d:-]+", limit):
        return UNLIMITED
    days, _, rest = limit.rpartition("-")
    hours, minutes, seconds = ([0, 0, 0] + [int(part) for part in rest.split(":")])[-3:]
    return int(days or 0) * 1440 + hours * 60 + minutes + (1 if seconds else 0)


def read_site() -> list[Nodes]:
    """Ask SLURM which partitions and nodes there are.

    Raises:
        UserError: If it does not answer.
    """
    lines = ask("sinfo", "--noheader", "--exact", "--format", FIELDS).splitlines()
    return [nodes_of(line) for line in lines if "|" in line]  # a line can name the cluster


def nodes_of(line: str) -> Nodes:
    """Read a line of ``sinfo``."""
    partition, limit, cpus, memory, number, gres = line.strip().split("|", 5)
    each, megabytes, many = (int(re.sub(r"\D", "", text) or 0) for text in (cpus, memory, number))
    return Nodes(partition, minutes_of(limit), each, megabytes, many, gpus_of(gres))


def read_accounts() -> set[str]:
    """Ask SLURM for the user's accounts; none where it does not keep any."""
    command = ("sacctmgr", "--noheader", "--parsable2", "show", "associations", f"user={getpass.getuser()}")
    return set(ask(*command, "format=account", missing="").split())


def check_requests(requests: Iterable[Request], site: Iterable[Nodes], accounts: Iterable[str]) -> None:
    """Make sure that jobs can start.

    Args:
        requests: What the jobs ask for.
        site: What there is.
        accounts: The user's; none if SLURM does not say.

    Raises:
        UserError: If some can never start.
    """
    nodes, known = list(site), sorted(account.lower() for account in accounts)
    wrong = {
        Problem(
            "unknown_account",
            PROFILE,
            "slurm_account",
            request.account,
            f"an account of yours: {', '.join(known)}",
            did_you_mean(request.account, known, "put in one of them"),
        )
        for request in requests
        if known and request.account and not set(request.account.lower().split(",")) & set(known)
    }
    problems = [*wrong, *(problem for request in requests for problem in problems_of(request, nodes))]
    if problems:
        raise UserError(problems)


def problems_of(request: Request, site: list[Nodes]) -> Iterator[Problem]:
    """Find why a job could not start: how it asks for things, or the first thing that excludes all nodes."""
    for name in request.unknown:
        yield _problem(
            "unknown_resource", request, name, "no resource of that name", ", ".join(SLURM), did_you_mean(name, SLURM)
        )
    if wrong := next(_wrong_gpus(request), None):
        yield wrong
        return
    if request.cluster:  # only this one is known
        return
    rest = _in_partition(request, site)
    if not rest:
        names = sorted({nodes.partition for nodes in site})
        expected = f"a partition of this cluster: {', '.join(names)}"
        cure = did_you_mean(request.partition, names, "put in one of them")
        yield _problem("unknown_partition", request, "slurm_partition", request.partition, expected, cure)
        return
    for setting, found, needed, offered, cure in _needs(request):
        left = [nodes for nodes in rest if offered(nodes) >= needed]
        if not left:
            there = "; ".join(sorted({_there(setting, nodes) for nodes in rest}))
            if request.gpus and not any(nodes.gpus for nodes in rest):
                cure = "name a partition with GPUs; `--set-resources` on the command line replaces all of the profile's"
            yield _problem("no_such_node", request, setting, found, f"what a node there has: {there}", cure)
            return
        rest = left
    asked = sum(request.gpus.values())
    if asked and request.used not in (0, asked):
        setting, found = ("gres", request.gres) if request.gres else ("gpu", str(asked))
        cure = "ask for as many as are used, or change `train.gpus`"
        expected = f"{request.used} GPU{'s' * (request.used != 1)}, as `train.gpus` says"
        yield _problem("gpus_not_used", request, setting, found, expected, cure)


def _wrong_gpus(request: Request) -> Iterator[Problem]:
    """Find what is wrong with how GPUs are asked for, whatever there is."""
    if gpus_of(request.gres) and (request.gpu or request.model):
        found = f"gres {request.gres!r} and gpu {request.gpu or request.model!r}: SLURM adds them up"
        yield _problem(
            "resource_conflict", request, "gres", found, "one way to ask for GPUs", "set `gpu: 0`, or remove `gres`"
        )
    if request.model and request.gpu == 0:
        yield _problem(
            "resource_conflict",
            request,
            "gpu",
            f"0, of type {request.model}",
            "a number",
            "set `gpu: 1`, or remove `gpu_model`",
        )
    if request.gpus and request.rule not in ON_GPUS:
        setting, found = ("gres", request.gres) if request.gres else ("gpu", f"{sum(request.gpus.values())}")
        cure = "ask for GPUs in `set-resources`, under `train`, `predict` and `apply_part`, not in `default-resources`"
        yield _problem("gpus_not_used", request, setting, found, "no GPU: this rule does not use any", cure)
    for setting, text, allowed in (("gres", request.gres, GRES), ("gpu_model", request.model, MODEL)):
        if text and not allowed.fullmatch(text):
            gpus = ",".join(f"{kind}:{number}" if kind else str(number) for kind, number in request.gpus.items())
            instead = f'set `gpu: 0` and `slurm_extra: "--gpus-per-node={gpus}"` in place of it'
            cure = instead if gpus else "remove what is not a GPU"
            yield _problem(
                "unpassable_resource",
                request,
                setting,
                text,
                "letters, digits, _ and . (all that Snakemake passes on)",
                cure,
            )


def most_memory(request: Request, site: Iterable[Nodes]) -> int:
    """Tell the MB of the largest node that a job could run on if it asked for less memory; 0 if there is none."""
    return max((nodes.memory for nodes in _fitting_but_for("mem_mb", request, site)), default=0)


def longest(request: Request, site: Iterable[Nodes]) -> int:
    """Tell the minutes of the longest job there could be if it asked for less time; 0 if there is none."""
    return max((nodes.minutes for nodes in _fitting_but_for("runtime", request, site)), default=0)


def _fitting_but_for(ignored: str, request: Request, site: Iterable[Nodes]) -> list[Nodes]:
    """List the nodes that have what a job needs, one setting left aside."""
    if request.cluster:
        return []
    needs = [(offered, needed) for setting, _, needed, offered, _ in _needs(request) if setting != ignored]
    return [nodes for nodes in _in_partition(request, site) if all(offered(nodes) >= n for offered, n in needs)]


def _in_partition(request: Request, site: Iterable[Nodes]) -> list[Nodes]:
    return [nodes for nodes in site if not request.partition or nodes.partition in request.partition.split(",")]


Need = tuple[str, str, int, Callable[[Nodes], int], str]


def _needs(request: Request) -> Iterator[Need]:
    """List what a node must have: the setting, what was asked for, as a number, what a node offers, the cure."""
    by_gres = bool(gpus_of(request.gres))
    for name, number in request.gpus.items():
        setting = "gres" if by_gres else "gpu_model" if name else "gpu"
        asked = request.gres if by_gres else f"{number} × {name or 'gpu'}"
        offered = partial(_fitting, name=name)
        yield setting, asked, 1, offered, "ask for a type that is there"
        yield "gpu", asked, number, offered, "GPUs of a job are on one node: ask for fewer (`train.gpus`)"
    yield "runtime", f"{request.minutes} minutes", request.minutes, attrgetter("minutes"), "ask for less time"
    yield "threads", f"{request.cpus} cores", request.cpus, attrgetter("cpus"), "ask for fewer cores"
    yield "mem_mb", f"{request.memory} MB", request.memory, attrgetter("memory"), "ask for less memory"


def _fitting(nodes: Nodes, name: str) -> int:
    """Count a node's GPUs of a type."""
    return nodes.gpus.get(name, 0) if name else sum(nodes.gpus.values())


def _there(setting: str, nodes: Nodes) -> str:
    limits = {"runtime": f"{nodes.minutes} minutes", "threads": f"{nodes.cpus} cores", "mem_mb": f"{nodes.memory} MB"}
    return f"{nodes.partition}: {limits[setting]}" if setting in limits else str(nodes)


def _problem(code: str, request: Request, setting: str, found: str, expected: str, cure: str) -> Problem:
    return Problem(code, PROFILE, f"{request.rule}: {setting}", found, expected, cure)
