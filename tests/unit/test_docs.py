"""What the docs have a user type is typed by a test, or stands here: no command of them is tried by nobody."""

from __future__ import annotations

from pathlib import Path

import pytest
from experiment import REPOSITORY
from typed_docs import PAGES, TUTORIAL, blocks_of, cluster_commands

NOT_RUN = {
    "2-set-up.md": [
        "not run: the test stands in a clone that is set up already",
        "not run: a part of continuous integration of its own builds the image, with the same recipe",
    ],
    "5-train.md": ["run by tests/cluster/test_profile.py, which types what stands in docs/cluster.md"],
    "7-plots.md": ["not run: it would change the environment of the tests, which find the library by its path"],
    "8-compare.md": ["not run: eighteen trainings, half an hour; docs/training.md has the result"],
    "README.md": [
        "not run: they set up, and run, what is run here",
        "not run: it needs a folder of one's own, and a cluster",
    ],
}
"""Blocks that tests/workflow/test_tutorial.py passes over, with what their pages say of it."""


def test_the_tutorial_has_eight_parts_and_its_first_page_lists_them() -> None:
    assert [int(page.name[0]) for page in TUTORIAL] == list(range(1, 9))
    listed = (REPOSITORY / "docs/tutorial/README.md").read_text()
    assert all(f"({page.name})" in listed for page in TUTORIAL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_not_typed_by_a_test_is_known(page: Path) -> None:
    comments = [block.comment for block in blocks_of(page) if block.comment]
    assert comments == NOT_RUN.get(page.name, [])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_is_of_a_kind_that_the_test_knows(page: Path) -> None:
    blocks = blocks_of(page)
    assert page.read_text().count("\n```") == 2 * len(blocks)  # none is overlooked
    assert {block.language for block in blocks} <= {"bash", "python", "yaml", "text"}
    assert all(block.file for block in blocks if block.language == "yaml")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_another_test_runs_is_run_there(page: Path) -> None:
    """Word by word: the test on a cluster types the commands of docs/cluster.md."""
    for block in blocks_of(page):
        if block.comment.startswith("run by "):
            assert "for command in cluster_commands()" in (REPOSITORY / "tests/cluster/test_profile.py").read_text()
            typed = {command.partition("#")[0].strip() for command in cluster_commands()}
            assert set(block.text.splitlines()) <= typed
