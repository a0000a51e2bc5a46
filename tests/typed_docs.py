"""What the docs have a user type: the blocks of their pages, and which of them no test can run.

- A ``bash`` block is typed as it stands, in the folder of the clone.
- A ``python`` block is run in the same folder; the blocks of a page are one script, as in a notebook.
- A ``yaml`` block that begins with ``# <file>.yaml`` is what stands in that file: its sections take the place of those
  of the same name.
- ``text`` and ``csv`` blocks show what is printed, or what a file holds.
- A block that cannot be run has a comment above it, ``<!-- not run: <why> -->``, or
  ``<!-- run by <test file>, … -->``, where another test types it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from experiment import REPOSITORY

TUTORIAL = sorted((REPOSITORY / "docs" / "tutorial").glob("[1-9]-*.md"))
PAGES = [*TUTORIAL, REPOSITORY / "README.md"]
"""Pages of which a test types every block, in this order."""

FENCED = re.compile(
    r"(?:^<!-- (?P<comment>[^\n]*) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: What stands behind the fence.
        text: Its lines.
        comment: What the comment above it says, which is why it is not run; empty where there is none.
    """

    language: str
    text: str
    comment: str

    @property
    def file(self) -> str:
        """The file that a ``yaml`` block stands for; empty where it is none."""
        named = re.match(r"# (\S+\.yaml)\b", self.text)
        return named[1] if named else ""


def blocks_of(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, from top to bottom."""
    found = FENCED.finditer(page.read_text())
    return [Block(fence["language"], fence["text"], fence["comment"] or "") for fence in found]


def cluster_commands() -> list[str]:
    """The commands that docs/cluster.md has a user type, once Swath is installed."""
    ten_steps = (REPOSITORY / "docs" / "cluster.md").read_text().partition("## When things break")[0]
    lines = [
        line.strip() for block in re.findall(r"```bash\n(.*?)```", ten_steps, re.DOTALL) for line in block.splitlines()
    ]
    return [line for line in lines if line.startswith(("sacctmgr ", "sinfo ", "snakemake "))]
