"""What a SLURM site offers, read from its own words, and what can never start there."""

from __future__ import annotations

import pytest
from snakemake.common.tbdstring import TBDString
from snakemake.iocontainers import ResourceList

from swath.cluster.site import Request, check_requests, gpus_of, minutes_of, nodes_of, request_of
from swath.errors import UserError

SITE = [
    nodes_of("cpu|1-00:00:00|48|190000|20|(null)"),
    nodes_of("gpu|8:00:00|32|512000|4|gpu:a100:4(S:0-1)"),
    nodes_of("gpu|8:00:00|16|96000|2|gpu:v100:2,nvme:1"),
    nodes_of("mig|infinite|64|512000|1|gpu:a100_1g.10gb:7(S:0,2-3)"),
]
FINE = [
    Request("chip", "", "cpu", 60, 1, 3000),
    Request("chip", "", "", 60, 1, 3000),
    Request("train", "", "gpu", 480, 8, 9000, gpu=1),
    Request("train", "", "gpu", 480, 8, 9000, gpu=4),
    Request("train", "", "gpu", 480, 8, 9000, gpu=4, used=4),
    Request("train", "", "cpu", 60, 1, 3000, used=2),
    Request("train", "", "gpu", 480, 8, 9000, gpu=2, model="v100"),
    Request("train", "", "mig", 90000, 8, 9000, gres="gpu:a100_1g.10gb:1"),
    Request("train", "", "mig", 150, 8, 9000, gres="gpu:1"),
    Request("train", "", "gpu", 480, 8, 9000, model="a100"),
    Request("train", "", "mig,gpu", 480, 8, 9000, gpu=4),
    Request("train", "", "gpu", 480, 8, 9000, gpu=1, gres="lscratch:100"),
    Request("chip", "", "cpu", 60, 1, 3000, gpu=0),
    Request("predict", "", "faraway", 90000, gpu=8, model="h100", cluster="elsewhere"),
]
WRONG = {
    "partition": (Request("chip", "", "cpus"), "chip: slurm_partition", "cpus", "cpu, gpu, mig", "did you mean 'cpu'?"),
    "type": (Request("train", "", "gpu", gpu=1, model="h100"), "train: gpu_model", "1 × h100", "4 × a100", "a type"),
    "no gpu": (Request("train", "", "cpu", gpu=1), "train: gpu", "1 × gpu", "cpu: 20 nodes without GPUs", "with GPUs"),
    "none of a type": (Request("train", "", "gpu", gpu=0, model="a100"), "train: gpu", "0, of", "a number", "`gpu: 1`"),
    "a rule without": (Request("chip", "", "gpu", gpu=1), "chip: gpu", "1", "does not use any", "`default-resources`"),
    "hyphens": (
        Request("train", "", "gpu", gpu=1, model="a100-sxm4"),
        "train: gpu_model",
        "a100-sxm4",
        "letters, digits",
        '`slurm_extra: "--gpus-per-node=a100-sxm4:1"`',
    ),
    "two kinds": (
        Request("train", "", "gpu", gres="gpu:a100:1,lscratch:10"),
        "train: gres",
        "lscratch",
        "letters, digits",
        "`slurm_extra:",
    ),
    "no gpu of two": (
        Request("train", "", "gpu", gres="nvme:1,lscratch:10"),
        "train: gres",
        "nvme",
        "letters",
        "remove",
    ),
    "gres type": (
        Request("train", "", "mig", gres="gpu:a100:1"),
        "train: gres",
        "gpu:a100:1",
        "7 × a100_1g.10gb",
        "type",
    ),
    "number": (Request("train", "", "gpu", gpu=5), "train: gpu", "5 × gpu", "4 × a100", "fewer (`train.gpus`)"),
    "number of a type": (
        Request("train", "", "gpu", gpu=3, model="v100"),
        "train: gpu",
        "3 × v100",
        "2 × v100",
        "fewer",
    ),
    "misspelt": (
        Request("chip", unknown=("slurm_acount",)),
        "chip: slurm_acount",
        "no resource",
        "slurm_account",
        "did you mean 'slurm_account'?",
    ),
    "both": (
        Request("train", "", "gpu", gpu=1, gres="gpu:a100:1"),
        "train: gres",
        "adds them up",
        "one way",
        "`gpu: 0`",
    ),
    "used": (Request("train", "", "gpu", gpu=3, used=1), "train: gpu", "3", "1 GPU, as `train.gpus`", "as are used"),
    "used by GRES": (
        Request("train", "", "gpu", gres="gpu:a100:1", used=2),
        "train: gres",
        "gpu:a100:1",
        "2 GPUs, as `train.gpus` says",
        "change `train.gpus`",
    ),
    "time": (Request("train", "", "gpu", 481), "train: runtime", "481 minutes", "gpu: 480 minutes", "less time"),
    "cores": (Request("train", "", "gpu", 1, 33), "train: threads", "33 cores", "gpu: 32 cores", "fewer cores"),
    "memory": (
        Request("train", "", "gpu", 1, 20, 600000),
        "train: mem_mb",
        "600000 MB",
        "gpu: 512000 MB",
        "less memory",
    ),
}


@pytest.mark.parametrize("request_", FINE)
def test_a_job_that_can_start(request_: Request) -> None:
    check_requests([request_], SITE, [])


@pytest.mark.parametrize("name", WRONG)
def test_a_job_that_can_never_start(name: str) -> None:
    request, field, found, expected, cure = WRONG[name]
    with pytest.raises(UserError) as caught:
        check_requests([request], SITE, [])
    (problem,) = caught.value.problems
    assert problem.field == field
    assert found in problem.found
    assert expected in problem.expected
    assert cure in problem.cure


def test_an_account_that_is_not_the_users() -> None:
    check_requests([Request("chip", "forest"), Request("chip")], SITE, ["forest", "fields"])
    check_requests([Request("chip", "elsewhere")], SITE, [])
    check_requests([Request("chip", "Forest,fields")], SITE, ["forest"])
    with pytest.raises(UserError) as caught:
        check_requests([Request("chip", "forrest"), Request("eval", "forrest")], SITE, ["forest", "fields"])
    (problem,) = caught.value.problems
    assert problem.field == "slurm_account"
    assert problem.expected == "an account of yours: fields, forest"
    assert problem.cure == "did you mean 'forest'?"


@pytest.mark.parametrize(
    ("limit", "minutes"), [("1-12:30:00", 2190), ("8:00:00", 480), ("30:00", 30), ("1:30", 2), ("infinite", 10**9)]
)
def test_times(limit: str, minutes: int) -> None:
    assert minutes_of(limit) == minutes


@pytest.mark.parametrize(
    ("gres", "gpus"),
    [
        ("(null)", {}),
        ("gpu", {"": 1}),
        ("gpu:2", {"": 2}),
        ("gpu:tesla", {"tesla": 1}),
        ("gpu:a100:4(S:0-1)", {"a100": 4}),
        ("gpu:a100:2,gpu:v100:1(S:0)", {"a100": 2, "v100": 1}),
        ("craynetwork:4,gpu:1", {"": 1}),
        ("gpu:2080ti:8", {"2080ti": 8}),
        ("gpu:3090:4(S:0-1)", {"3090": 4}),
        ("gpu:1g.10gb:7", {"1g.10gb": 7}),
        ("gpu:a100-sxm4-80gb:4,gpu:rtx-6000:2", {"a100-sxm4-80gb": 4, "rtx-6000": 2}),
    ],
)
def test_gpus(gres: str, gpus: dict[str, int]) -> None:
    assert gpus_of(gres) == gpus


def test_resources_are_read_as_snakemake_names_them() -> None:
    asked = {"slurm_acount": "a", "gpu": 0, "gres": "gpu:2", "clusters": "far", "tmpdir": TBDString()}
    request = request_of("train", ResourceList(fromdict=asked), 2)
    assert (request.unknown, request.gpus, request.cluster) == (("slurm_acount",), {"": 2}, "far")
    assert request_of("train", {"gpu_model": "a100"}, 1).gpus == {"a100": 1}
    assert request_of("train", {"gpu_model": "a100", "gpu": 0}, 1).gpus == {}
