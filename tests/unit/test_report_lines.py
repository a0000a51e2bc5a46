"""What a run says on the terminal, from the records that Snakemake hands to its handlers."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake.cli import parse_config
from snakemake.jobs import Job
from snakemake.logging import ColorizingTextHandler, DefaultFilter, LogEvent, logger

from swath.smk import hooks
from swath.smk.command_line import executor_named, overrides, words_after
from swath.smk.report_lines import HANDLER, MOST_RUNS, ReportFormatter, report_on_terminal

FAILED = "RuleException:\nCalledProcessError in file \"Snakefile\", line 7:\nCommand 'python x.py' {how}"
SHARED = ("scenes", "analyze")


def name_of_run(rule: str, wildcards: Mapping[str, str]) -> str | None:
    return None if rule in SHARED else f"trial={wildcards['key']},seed=0"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[..., io.StringIO]:
    """Snakemake's handler for the terminal, with the report on it."""

    def start(costs: Callable[[], str] = str, alone: bool = False, **output: Any) -> io.StringIO:
        stream = io.StringIO()
        handler = ColorizingTextHandler(stream=stream, filter=DefaultFilter(None, False, False, False, False))  # type: ignore[arg-type]
        handler.name = HANDLER
        monkeypatch.setattr(logger, "handlers", [handler])
        monkeypatch.setattr(logger, "level", logging.INFO)
        monkeypatch.setattr(logger, "propagate", False)
        monkeypatch.setattr(Job, "log_info", Job.log_info)  # Snakemake's own again afterwards
        settings = {"verbose": False, "printshellcmds": False, "quiet": set(), "debug_dag": False, "dryrun": False}
        workflow = SimpleNamespace(output_settings=SimpleNamespace(**{**settings, **output}))
        report_on_terminal(workflow, name_of_run, costs, alone)
        return stream

    return start


def say(text: str | None = "", event: LogEvent | None = None, **parts: Any) -> None:
    logger.info(text, extra={"event": event, **parts} if event else parts)


def begin(number: int, rule: str, words: str | None, key: str = "a") -> None:
    long = [f"results/models/{key}/{index}.zip" for index in range(1000)]
    parts = {"rule_msg": words, "rule_name": rule, "wildcards": {"key": key}, "input": long, "output": long}
    say("", LogEvent.JOB_INFO, jobid=number, reason="Missing output files: results/a/b", **parts)


def fail(number: int, how: str) -> None:
    logger.error(FAILED.format(how=how), extra={"event": LogEvent.ERROR, "exception": "RuleException"})
    parts = {"jobid": number, "rule_name": "train", "rule_msg": None, "log": ["train.log"], "input": [], "output": []}
    logger.error("", extra={"event": LogEvent.JOB_ERROR, "aux": {}, "shellcmd": None, "conda_env": None, **parts})
    say("Shutting down, this might take some time.")
    logger.error("Exiting because a job execution failed. Look above for error messages")
    end = {"event": LogEvent.ERROR, "exception": "WorkflowError"}
    logger.error("WorkflowError:\nAt least one job did not complete successfully.", extra=end)


def test_a_run_says_what_begins_and_how_far_it_is(terminal: Callable[..., io.StringIO]) -> None:
    stream = terminal()
    say("SNAKEMAKE", LogEvent.WORKFLOW_STARTED)
    say("Using shell: /usr/bin/bash")
    say("Select jobs to execute...")
    say("Execute 3 jobs...", LogEvent.JOB_STARTED)
    begin(1, "train", "Training learning_rate=0.001,seed=0")
    say("Finished jobid: 1 (Rule: train)", LogEvent.JOB_FINISHED)
    say("", LogEvent.PROGRESS, done=1, total=2)
    begin(0, "all", None)
    say("Something that concerns the user.")
    lines = stream.getvalue().splitlines()
    assert [line.partition(" ")[2] for line in lines[:1]] == ["Training learning_rate=0.001,seed=0"]
    assert lines[1:] == ["1 of 2 steps (50%) done", "Something that concerns the user."]


def test_thousands_of_steps_are_told_by_the_hundredth(terminal: Callable[..., io.StringIO]) -> None:
    stream = terminal()
    for done in range(1, 15_001):
        say("", LogEvent.PROGRESS, done=done, total=15_000)
    lines = stream.getvalue().splitlines()
    assert len(lines) <= 102 and lines[-1] == "15000 of 15000 steps (100%) done"


def test_after_an_orderly_stop_there_is_one_line(terminal: Callable[..., io.StringIO]) -> None:
    stream = terminal()
    begin(1, "train", "Training a")
    fail(1, "returned non-zero exit status 75.")
    assert stream.getvalue().splitlines()[1:] == [
        "Stopped in good order: nothing is lost, the same command goes on from here."
    ]


@pytest.mark.parametrize(
    ("how", "said"),
    [("returned non-zero exit status 1.", "Training a"), ("died with <Signals.SIGKILL: 9>.", "(killed by SIGKILL)")],
)
def test_a_failure_is_told_with_its_log(terminal: Callable[..., io.StringIO], how: str, said: str) -> None:
    stream = terminal()
    begin(1, "train", "Training a")
    fail(1, how)
    failed, end = stream.getvalue().splitlines()[1:]
    assert "Failed: Training a" in failed and said in failed and "train.log" in failed
    assert end.startswith("One job has failed")


def test_a_dry_run_ends_with_a_table_by_trial(terminal: Callable[..., io.StringIO]) -> None:
    stream = terminal(dryrun=True)
    say("Job stats:\ntotal 7", LogEvent.RUN_INFO)
    for number, (rule, key) in enumerate([("scenes", "s"), ("train", "a"), ("predict", "a"), ("predict", "a")]):
        begin(number, rule, rule, key)
    for key in [f"t{number}" for number in range(3000)]:
        begin(9, "train", "train", key)
    say("Job stats:\ntotal 7", LogEvent.RUN_INFO)
    text = stream.getvalue()
    assert len(text) < 3000 and "results/models" not in text
    assert "for all trials: scenes 1\n" in text
    rows = [line.split() for line in text.splitlines() if line.startswith("trial=")]
    assert rows[:2] == [["trial=a,seed=0", "1", "2"], ["trial=t0,seed=0", "1", "-"]] and len(rows) == MOST_RUNS
    assert [line.split() for line in text.splitlines() if "more" in line] == [["2,981", "more", "2,981", "-"]]


@pytest.mark.parametrize("alone", [False, True])
def test_a_dry_run_says_what_its_jobs_will_take(terminal: Callable[..., io.StringIO], alone: bool) -> None:
    left = ["train"]
    stream = terminal(lambda: f"two hours: {', '.join(left)}", alone, dryrun=True)
    say("Job stats:\ntotal 1", LogEvent.RUN_INFO)
    begin(1, "train", "train", "a")
    left.clear()  # in the end, no job is left to be run
    say("Job stats:\ntotal 1", LogEvent.RUN_INFO)
    assert stream.getvalue().count("two hours: train\n") == 1
    assert ("Job stats" in stream.getvalue()) == ("trial=a" in stream.getvalue()) == (not alone)


def test_what_would_run_jobs_is_read_from_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SNAKEMAKE_PROFILE", raising=False)
    for name, text in {"cluster": "executor: slurm\n", "site": "jobs: 5\n", "local": "cores: all\n"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "profile.yaml").write_text(text)
    cluster, site, local = (f"{tmp_path}/{name}" for name in ("cluster", "site", "local"))
    assert executor_named(["-n", "--executor", "slurm", "--jobs", "4"]) == "slurm"
    assert executor_named(["--profile", cluster, "--profile", site, "-n"]) == "slurm"
    assert executor_named([f"--profile={local}", "-n"]) == executor_named(["-n", "-j", "4"]) == "local"
    monkeypatch.setenv("SNAKEMAKE_PROFILE", cluster)
    assert executor_named(["-n"]) == "slurm"


def test_the_table_is_in_the_order_of_the_values(terminal: Callable[..., io.StringIO]) -> None:
    stream = terminal(dryrun=True)
    say("Job stats:\ntotal 7", LogEvent.RUN_INFO)
    for number, key in enumerate(["lr=0.01", "s10", "lr=0.002", "lr=5e-05", "s9", "lr=0.1"]):
        begin(number, "train", "train", key)
    say("Job stats:\ntotal 7", LogEvent.RUN_INFO)
    names = [line.split()[0].split("=", 1)[1] for line in stream.getvalue().splitlines() if line.startswith("trial=")]
    assert [name.split(",")[0] for name in names] == ["lr=5e-05", "lr=0.002", "lr=0.01", "lr=0.1", "s9", "s10"]


@pytest.mark.parametrize("asked", ["verbose", "printshellcmds", "debug_dag"])
def test_who_asks_for_details_gets_snakemakes_own_lines(terminal: Callable[..., io.StringIO], asked: str) -> None:
    terminal(**{asked: True})
    assert not isinstance(logger.handlers[0].formatter, ReportFormatter)


@pytest.mark.parametrize(
    ("until", "known", "stages", "refused"),
    [
        ("train", False, {}, True),
        ("train", True, {}, False),
        ("configure", False, {}, False),
        ("", False, {}, False),
        ("train", False, {"configure": ["train"]}, True),
        ("chip", False, {"configure": ["train"]}, False),  # known from the start
    ],
)
def test_until_a_stage_that_is_not_known_yet_is_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    until: str,
    known: bool,
    stages: dict[str, list[str]],
    refused: bool,
) -> None:
    table = tmp_path / "table.json"
    if known:
        table.write_text("{}")
    context: Any = SimpleNamespace(known_after={"configure": str(table)}, unknown_stages=stages)
    arguments = ["--cores", "1", *(["--until", until] if until else []), "--configfile", "train"]
    assert words_after(("--until",), arguments) == ([until] if until else [])
    assert words_after(("--until",), ["--until=train", "all", "-n"]) == ["train"]  # `all` is a target
    if refused:
        with pytest.raises(SystemExit):
            hooks._check_until_or_exit(arguments, context)
        assert f"{table} in place of `--until`" in capsys.readouterr().err
    else:
        hooks._check_until_or_exit(arguments, context)


def test_until_a_stage_of_a_search_is_refused_whatever_is_decided(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "1.csv"
    table.write_text("")
    context: Any = SimpleNamespace(known_after={"rung": str(table)}, unknown_stages={"rung": ["train"]})
    with pytest.raises(SystemExit):
        hooks._check_until_or_exit(["--until", "train"], context)
    assert "leave `--until` out" in capsys.readouterr().err
    hooks._check_until_or_exit(["--until", "chip"], context)


@pytest.mark.parametrize(
    "words",
    [
        ["train={epochs: 2, learning_rate: 1e-3}", "experiment=a b"],
        ["experiments=[kampala, entebbe]", "yes=true", "nothing="],
        ["imagery={bands: ['B 1', B2], normalize: {min: 0, max: 1}}", 'name=it\'s "one": #1'],
    ],
)
def test_what_a_command_overrides_can_be_typed_again(words: list[str]) -> None:
    config = parse_config(words)
    assert parse_config(overrides(config)) == config


def test_a_page_that_is_there_already_is_named_too() -> None:
    formatter = ReportFormatter(None, dry_run=False, page="results/experiments/a/preview.html")
    said = [
        formatter.format(logging.LogRecord("snakemake", logging.INFO, "", 0, text, None, None))
        for text in ("Nothing to be done (all requested files are present and up to date).", "Building DAG of jobs...")
    ]
    assert said[0].endswith("\nOpen in a browser: results/experiments/a/preview.html") and "browser" not in said[1]
