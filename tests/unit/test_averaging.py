"""The moving average of the weights: what it is after some steps, and that training goes on with the weights."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from swath.training.averaging import MovingAverage
from swath.training.loop import copied


class Module(nn.Module):
    """Stand for a Lightning module with a network and a loss."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
        self.loss = nn.CrossEntropyLoss(weight=torch.ones(2))
        self.device = torch.device("cpu")

    @property
    def weight(self) -> float:
        return float(self.model[0].weight.detach())

    def set_weight(self, value: float) -> None:
        self.model[0].weight.data.fill_(value)


@pytest.fixture
def module() -> Any:
    module = Module()
    module.set_weight(1.0)
    return module


def begun(module: Any, decay: float = 0.5) -> Any:
    """Begin an average of a module that stands for Lightning's; hence of no type that a checker could hold on to."""
    average: Any = MovingAverage(decay)
    average.setup(None, module, "fit")
    average.on_fit_start(None, module)
    return average


def step(average: Any, module: Any, number: int, weight: float) -> None:
    module.set_weight(weight)
    average.on_train_batch_end(SimpleNamespace(global_step=number), module)


def averaged(average: Any, module: Any) -> float:
    return float(average.state_of(module)["model.0.weight"].detach())


def test_the_average_begins_with_the_first_step_and_forgets_more_at_the_beginning(module: Any) -> None:
    average = begun(module, decay=0.9)
    step(average, module, 1, 3.0)
    assert averaged(average, module) == 3
    step(average, module, 2, 5.0)
    decay = 2 / 11  # after one step: (1 + 1) / (10 + 1)
    assert averaged(average, module) == pytest.approx(decay * 3 + (1 - decay) * 5)
    step(average, module, 2, 7.0)  # gradients were added up: no step of the optimizer
    assert averaged(average, module) == pytest.approx(decay * 3 + (1 - decay) * 5)


def test_what_is_validated_is_the_average_and_training_goes_on_with_the_weights(module: Any) -> None:
    average = begun(module)
    step(average, module, 1, 3.0)
    step(average, module, 2, 5.0)
    expected = averaged(average, module)
    average.on_validation_epoch_start(None, module)
    assert module.weight == pytest.approx(expected) and module.weight != 5
    average.on_validation_epoch_end(None, module)
    assert module.weight == 5
    assert averaged(average, module) == pytest.approx(expected)
    average.put_into(module)
    assert module.weight == pytest.approx(expected)
    assert set(average.state_of(module)) == set(module.state_dict())


def test_a_checkpoint_holds_both(module: Any) -> None:
    average = begun(module)
    step(average, module, 1, 3.0)
    step(average, module, 2, 5.0)
    checkpoint: dict[str, Any] = {"state_dict": module.state_dict()}
    average.on_save_checkpoint(None, module, checkpoint)
    assert float(checkpoint["state_dict"]["model.0.weight"]) == pytest.approx(averaged(average, module))
    other: Any = Module()
    resumed = begun(other)
    resumed.on_load_checkpoint(None, other, checkpoint)
    assert other.weight == 5
    for one in ((average, module), (resumed, other)):
        step(*one, 2, 9.0)  # that step is in the average already
        step(*one, 3, 9.0)
    assert averaged(resumed, other) == averaged(average, module)


def test_constants_stay_and_what_has_two_names_is_swapped_once(module: Any) -> None:
    module.model.register_buffer("places", torch.arange(200))
    module.model.register_buffer("mask", torch.tensor([0.0, float("-inf")]))
    module.model.again = module.model[0]
    average = begun(module, decay=0.9)
    for number, weight in enumerate((3.0, 5.0, 7.0), start=1):
        step(average, module, number, weight)
    state = average.state_of(module)
    assert torch.equal(state["model.places"], torch.arange(200))
    assert torch.equal(state["model.mask"], module.model.mask)
    expected = averaged(average, module)
    average.on_validation_epoch_start(None, module)
    assert module.weight == pytest.approx(expected) and module.weight != 7


def test_layers_that_count_no_batches_are_taken_up_again() -> None:
    """A detector's: what is put into them has to say of what version it is, or torch adds a count to it."""
    module, other = Module(), Module()
    for one in (module, other):
        one.model[1].num_batches_tracked = None
    average: Any = begun(module)
    step(average, module, 1, 3.0)
    checkpoint: dict[str, Any] = {"state_dict": module.state_dict()}
    average.on_save_checkpoint(None, module, checkpoint)
    resumed: Any = begun(other)
    resumed.on_load_checkpoint(None, other, checkpoint)
    assert other.weight == 3
    assert averaged(resumed, other) == averaged(average, module)
    resumed.put_into(other)
    assert other.weight == pytest.approx(averaged(average, module))


def test_a_copied_state_is_taken_up_again_and_stays_as_it_was() -> None:
    module = Module()
    module.model[1].num_batches_tracked = None
    module.set_weight(2.0)
    kept = copied(module.state_dict())
    module.set_weight(5.0)
    module.load_state_dict(kept)
    assert module.weight == 2
