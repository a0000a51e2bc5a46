"""What every script does around its work: log, messages, temporary names, rename."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from small_job import run_job


@pytest.mark.parametrize("said", [{}, {"OMP_WAIT_POLICY": "ACTIVE", "GDAL_CACHEMAX": "64"}])
def test_libraries_find_a_quiet_environment_unless_the_user_has_another_one(
    tmp_path: Path, said: dict[str, str]
) -> None:
    work = """
        import os
        with job(snakemake) as (inputs, output, params):
            assert not {"torch", "rasterio", "numpy"} & set(sys.modules)  # they have not read it yet
            output.one.write_text(os.environ["OMP_WAIT_POLICY"]); output.two.write_text(os.environ["GDAL_CACHEMAX"])
        """
    done = run_job(tmp_path, work, **said)
    assert done.returncode == 0, done.stderr
    found = [(tmp_path / "out/k1" / name).read_text() for name in ("one.txt", "two.txt")]
    assert found == list({"OMP_WAIT_POLICY": "PASSIVE", "GDAL_CACHEMAX": "512", **said}.values())


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left as they are")
def test_memory_that_was_freed_is_used_again_by_all_threads() -> None:
    """The system hands out each page once, and not at every step."""
    work = """
        import ctypes, resource, threading
        from swath.job.environment import keep_freed_memory
        libc = ctypes.CDLL(None)
        libc.malloc.restype = ctypes.c_void_p
        def use(times):
            for _ in range(times):
                place = libc.malloc(100_000_000)
                ctypes.memset(place, 1, 100_000_000)
                libc.free(ctypes.c_void_p(place))
        keep_freed_memory()
        use(1)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        use(10)
        thread = threading.Thread(target=use, args=(10,))
        thread.start(); thread.join()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
        """
    command = [sys.executable, "-c", textwrap.dedent(work)]
    found = {}
    for keep in ("keep_freed_memory", "bool"):
        command[-1] = textwrap.dedent(work).replace("keep_freed_memory()", f"{keep}()")
        done = subprocess.run(command, env={**os.environ, "PYTHONPATH": "scripts"}, capture_output=True, text=True)
        found[keep] = int(done.stdout)
    assert found["keep_freed_memory"] * 10 < found["bool"]


def test_outputs_appear_together_with_their_spec(tmp_path: Path) -> None:
    done = run_job(
        tmp_path,
        """
        with job(snakemake) as (inputs, output, params):
            output.one.write_text("1"); output.two.write_text("2"); print("chatter")
        """,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "out/k1").iterdir()) == [
        "libraries.yaml",
        "one.txt",
        "spec.yaml",
        "two.txt",
    ]
    assert done.stdout == ""
    assert "chatter" in (tmp_path / "log/x.log").read_text()


@pytest.mark.parametrize(
    ("failure", "shown"),
    [
        (
            'raise UserError(Problem("wrong_value", "f", "field", "this", "that", "do so"))',
            "ERROR wrong_value\nf: field\n  found:    this",
        ),
        ('raise KeyError("oops")', "KeyError: 'oops' (more in log/x.log)"),
    ],
)
def test_a_failure_leaves_nothing_and_shows_no_traceback(tmp_path: Path, failure: str, shown: str) -> None:
    done = run_job(
        tmp_path,
        f"""
        with job(snakemake) as (inputs, output, params):
            output.one.write_text("half")
            {failure}
        """,
    )
    assert done.returncode == 1
    assert shown in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "out/k1").iterdir()) == []
    assert ("Traceback" in (tmp_path / "log/x.log").read_text()) == ("oops" in failure)


@pytest.mark.parametrize(
    ("failure", "place"),
    [
        ("raise nothing_within('none of 2 trials', [])", "4: sweep.limits"),
        ("raise UserError(not_built(Model(), KeyError('tu-resnet99')))", "5: model"),
    ],
)
def test_a_setting_that_a_step_refuses_is_told_with_its_line(tmp_path: Path, failure: str, place: str) -> None:
    (tmp_path / "mine.yaml").write_text("experiment: x\nsweep:\n  grid: {}\n  limits: {parameters: 1}\nmodel: {}\n")
    work = f"""
        from swath.config.model import Model
        from swath.networks.not_built import not_built
        from swath.search.limits import nothing_within
        with job(snakemake) as (inputs, output, params):
            {failure}
        """
    told = run_job(tmp_path, work, SWATH_CONFIGS="missing.yaml\nmine.yaml").stderr
    assert f"\nmine.yaml:{place}\n" in told
    field = place.partition(": ")[2]
    assert f"config: {field}\n" in run_job(tmp_path, work).stderr, "where nobody has said which files there are"


def test_progress_is_shown_and_logged(tmp_path: Path) -> None:
    done = run_job(
        tmp_path,
        """
        import logging
        with job(snakemake) as (inputs, output, params):
            output.one.touch(); output.two.touch()
            logging.getLogger("swath.x").info("half way"); logging.getLogger("other").info("noise")
        """,
    )
    assert "half way" in done.stderr
    assert "noise" not in done.stderr
    assert "noise" in (tmp_path / "log/x.log").read_text()


def test_libraries_say_once_what_concerns_a_user(tmp_path: Path) -> None:
    work = """
        import logging
        with job(snakemake) as (inputs, output, params):
            logging.getLogger("rastervision").addHandler(logging.StreamHandler())  # as its pipeline does
            logging.getLogger("rastervision.core.box").info("told by Raster Vision")
            logging.getLogger("rastervision.pytorch_learner.learner").info("Building dataloaders")
            logging.getLogger("pytorch_lightning.utilities.rank_zero").info("TPU available: False")
            logging.getLogger("pytorch_lightning.utilities.rank_zero").warning("a warning")
            output.one.touch(); output.two.touch()
        """
    done = run_job(tmp_path, work)
    assert done.returncode == 0, done.stderr
    said = (tmp_path / "log/x.log").read_text()
    assert (said.count("told by Raster Vision"), said.count("a warning")) == (1, 1)
    assert "Building" not in said and "TPU" not in said


def test_work_to_be_continued_ends_with_a_code_of_its_own(tmp_path: Path) -> None:
    done = run_job(
        tmp_path,
        """
        from swath.errors import ToBeContinuedError
        with job(snakemake) as (inputs, output, params):
            output.one.write_text("half")
            raise ToBeContinuedError("stopped by SIGTERM; the same command goes on")
        """,
    )
    assert done.returncode == 75
    (told,) = (tmp_path / ".snakemake" / "swath-messages").iterdir()  # for the run that waits, should it give up
    assert "the same command goes on" in told.read_text()
    assert "the same command goes on" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "out/k1").iterdir()) == []


def test_a_job_that_snakemake_has_given_up_publishes_nothing(tmp_path: Path) -> None:
    """An orphan goes on while the same job runs anew: only the later one may write, whoever ends first."""
    done = run_job(
        tmp_path,
        """
        from swath.files import publish
        with job(snakemake) as (inputs, output, params):
            with publish("out/k1/before.txt") as path:
                path.write_text("written while it may")
            import os
            if os.fork() == 0:  # the job that Snakemake starts anew
                import swath.coordination.fencing
                swath.coordination.fencing.FencingToken(["out/k1/two.txt", "out/k1/one.txt"], token="its own").acquire()
                os._exit(0)
            os.wait()
            output.one.write_text("1"); output.two.write_text("2")
            with publish("out/k1/after.txt") as path:
                path.write_text("written while it may not")
        """,
    )
    assert done.returncode == 1
    assert "works on it by now" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in (tmp_path / "out/k1").iterdir()] == ["before.txt"]


def test_what_a_killed_job_left_is_removed_by_the_next(tmp_path: Path) -> None:
    work = """
        import os, signal
        from pathlib import Path
        from swath.files import publish, publish_directory
        with job(snakemake) as (inputs, output, params):
            output.one.write_text("half")
            with publish("out/k1/maps/a.tif") as path, publish_directory("out/k1/folder") as folder:
                path.write_text("half"); (folder / "file").write_text("half")
                {end}
            output.two.write_text("whole")
    """
    assert run_job(tmp_path, work.replace("{end}", "os.kill(os.getpid(), signal.SIGKILL)")).returncode == -9
    left = {path.name for path in (tmp_path / "out").rglob("*") if ".tmp" in path.name}
    assert len(left) == 3
    assert run_job(tmp_path, work.replace("{end}", "pass")).returncode == 0
    names = {str(path.relative_to(tmp_path / "out/k1")) for path in (tmp_path / "out/k1").rglob("*")}
    assert names == {"one.txt", "two.txt", "spec.yaml", "libraries.yaml", "maps", "maps/a.tif", "folder", "folder/file"}


def test_the_log_begins_with_what_earlier_attempts_said(tmp_path: Path) -> None:
    work = """
        import logging
        from pathlib import Path
        from swath.job.attempt_log import continue_attempt_log
        with job(snakemake) as (inputs, output, params):
            continue_attempt_log(Path("history.log"))
            logging.getLogger("swath.train").info("epoch {epoch}")
            Path(output.one).touch(); Path(output.two).touch()
    """
    for epoch in (1, 2):
        assert run_job(tmp_path, work.replace("{epoch}", str(epoch))).returncode == 0
    said = (tmp_path / "log" / "x.log").read_text()
    assert said.count("attempt on") == 2
    assert said.index("epoch 1") < said.index("epoch 2")
    assert said.count("epoch") == 2


def test_a_job_without_outputs_can_publish_a_report(tmp_path: Path) -> None:
    work = """
        from swath.files import write_json
        snakemake.output = snakemake.wildcards = Named()
        with job(snakemake) as (inputs, output, params):
            write_json("results/report.json", {})
    """
    done = run_job(tmp_path, work)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "results" / "report.json").is_file()
    assert not (tmp_path / "results" / "checksums").exists()


def test_a_disk_that_has_become_read_only_is_told(tmp_path: Path) -> None:
    work = """
        import errno, os
        with job(snakemake) as (inputs, output, params):
            raise RuntimeError("cannot save") from OSError(errno.EROFS, os.strerror(errno.EROFS), "results/x.tif")
    """
    done = run_job(tmp_path, work)
    assert done.returncode == 1
    assert "ERROR folder_not_writable\nresults/x.tif" in done.stderr and "Read-only file system" in done.stderr
    assert "RuntimeError" not in done.stderr


def test_a_full_disk_is_told_even_when_a_library_hides_it(tmp_path: Path) -> None:
    work = """
        with job(snakemake) as (inputs, output, params):
            try:
                with open("/dev/full", "w", buffering=1) as file:
                    file.write("x" * 10000 + chr(10))
            except OSError:
                raise RuntimeError("enforce fail at inline_container.cc")
    """
    done = run_job(tmp_path, work)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "make room" in done.stderr
    assert "inline_container" not in done.stderr
