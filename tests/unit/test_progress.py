"""What a training says of how far it is."""

from __future__ import annotations

import pytest

from swath.config.train import Train
from swath.training import progress
from swath.training.loop import Hardware
from swath.training.progress import EVERY, Progress, in_words, speed


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
            said.append(told.line(epoch, step, steps))
    return [line for line in said if line]


def test_a_line_after_the_first_steps_and_then_every_few_minutes(clock: Clock) -> None:
    said = lines(clock, epochs=8, steps=90, each=1.1, has_bar=False)
    assert said[0] == "epoch 1/8, step 10 of 90, 1.1 s each, about 13 minutes to go"
    assert len(said) == 1 + int((8 * 90 - 10) * 1.1 / EVERY)
    assert said[1].startswith("epoch 2/8, step 84 of 90")


def test_where_a_bar_shows_the_rest_there_is_the_first_line_alone(clock: Clock) -> None:
    assert len(lines(clock, epochs=8, steps=90, each=1.1, has_bar=True)) == 1


def test_an_epoch_of_few_steps_has_its_line_too(clock: Clock) -> None:
    assert lines(clock, 2, 3, 0.02, has_bar=False) == ["epoch 1/2, step 3 of 3, 20 ms each, about 1 seconds to go"]


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
        (("cpu", "32-true"), {"threads": 2}, "the CPU, 2 threads, in 32 bits"),
        (("cpu", "32-true"), {"threads": 1, "gpus": 2}, "the CPU, 2 processes with one thread each, in 32 bits"),
        (("gpu", "bf16-mixed"), {}, "one GPU, in bfloat16 where it does no harm"),
        (("gpu", "16-mixed"), {"gpus": 4}, "4 GPUs, in 16 bits where it does no harm"),
    ],
)
def test_what_trains_is_told_to_a_person(hardware: tuple[str, str], settings: dict[str, int], words: str) -> None:
    assert Hardware(*hardware).in_words(Train(**settings)) == words
