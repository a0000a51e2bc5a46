"""What a training says of how far it is."""

from __future__ import annotations

import pytest

from swath.config.train import Train
from swath.job.progress import in_words
from swath.training import progress
from swath.training.hardware import Hardware
from swath.training.progress import Progress, speed


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr(progress, "time", moved)
    return moved


def lines(clock: Clock, epochs: int, steps: int, each: float, has_bar: bool) -> list[str]:
    told, said = Progress(epochs, has_bar), []
    for epoch in range(1, epochs + 1):
        for step in range(1, steps + 1):
            clock.now += each
            left = each * (steps * (epochs - epoch + 1) - step)
            said.append(told.line(epoch, step, steps, each, left))
        told.end_epoch()
    return [line for line in said if line]


def test_a_line_after_the_first_steps_and_then_at_quarters_of_long_epochs(clock: Clock) -> None:
    said = lines(clock, epochs=2, steps=200, each=1.5, has_bar=False)
    assert said[0] == "epoch 1/2, step 10 of 200 (5 %), 1.5 s each, about 10 minutes to go"
    assert [line.partition(" %")[0].rpartition("(")[2] for line in said[1:]] == ["25", "50", "75"] * 2
    assert said[-1] == "epoch 2/2, step 150 of 200 (75 %), 1.5 s each, about 75 seconds to go"


def test_short_epochs_have_no_lines_within_and_very_long_ones_more_than_quarters(clock: Clock) -> None:
    assert len(lines(clock, epochs=8, steps=90, each=0.5, has_bar=False)) == 1
    assert len(lines(clock, epochs=1, steps=1000, each=10, has_bar=False)) > 10_000 // 700


def test_where_a_bar_shows_the_rest_there_is_the_first_line_alone(clock: Clock) -> None:
    assert len(lines(clock, epochs=8, steps=90, each=1.1, has_bar=True)) == 1


def test_an_epoch_of_few_steps_is_told_by_its_own_line_alone(clock: Clock) -> None:
    assert lines(clock, 2, 3, 0.02, has_bar=False) == []
    assert len(lines(clock, 1, 3, 700.0, has_bar=False)) == 2


@pytest.mark.parametrize(
    ("number", "words"), [(40, "40 seconds"), (700, "12 minutes"), (40_000, "11 hours"), (300_000, "3 days")]
)
def test_times_are_rough(number: float, words: str) -> None:
    assert in_words(number) == words


@pytest.mark.parametrize(
    ("number", "words"), [(123.4, "123 chips/s"), (7.62, "7.62 chips/s"), (0.05, "3 chips/minute")]
)
def test_no_training_learns_from_0_chips_a_second(number: float, words: str) -> None:
    assert speed(number) == words


@pytest.mark.parametrize(
    ("hardware", "settings", "words"),
    [
        (("cpu", "32-true"), {"threads": 2}, "2 CPU threads, 32-bit floats"),
        (("cpu", "32-true"), {"gpus": 2, "threads": 1}, "2 processes with one CPU thread each, 32-bit floats"),
        (("gpu", "bf16-mixed"), {}, "GPU 3 (NVIDIA A100), bfloat16 where it does no harm"),
    ],
)
def test_what_trains_is_told_to_a_person(hardware: tuple[str, str], settings: dict[str, int], words: str) -> None:
    assert Hardware(*hardware).in_words(Train(**settings), ["GPU 3 (NVIDIA A100)"]) == words
