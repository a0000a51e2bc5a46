"""Where training reaches into Lightning and torch. Where a test here fails for a new version, that can go."""

from __future__ import annotations

import inspect
import signal

import pytest
import pytorch_lightning as pl
import torch

from swath.training.upstream import cpu_has_bf16, leave_signals_alone

CAN_GO = "can go: remove it from swath.training.upstream, and this test"


@pytest.fixture
def trainer() -> pl.Trainer:
    return pl.Trainer(logger=False, enable_checkpointing=False, accelerator="cpu", enable_progress_bar=False)


@pytest.fixture
def ours() -> object:
    """A handler of SIGTERM that was there before."""

    def handler(*arguments: object) -> None:
        """Do nothing."""

    before = signal.signal(signal.SIGTERM, handler)
    yield handler
    signal.signal(signal.SIGTERM, before)


def test_lightning_still_takes_sigterm_for_itself(trainer: pl.Trainer, ours: object) -> None:
    trainer._signal_connector.register_signal_handlers()
    assert signal.getsignal(signal.SIGTERM) is not ours, f"leave_signals_alone {CAN_GO}"
    assert not [name for name in inspect.signature(pl.Trainer).parameters if "signal" in name]


def test_lightning_leaves_signals_alone(trainer: pl.Trainer, ours: object) -> None:
    leave_signals_alone(trainer)
    trainer._signal_connector.register_signal_handlers()
    assert signal.getsignal(signal.SIGTERM) is ours


def test_lightning_still_sets_its_handlers_when_it_begins_to_train() -> None:
    from pytorch_lightning.trainer import trainer as module

    assert "self._signal_connector.register_signal_handlers()" in inspect.getsource(module.Trainer._run)


def test_torch_still_says_only_in_private_what_a_cpu_has(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        assert isinstance(getattr(torch.cpu, name)(), bool)
        assert not hasattr(torch.cpu, name.removeprefix("_")), f"torch says it in public: use torch.cpu{name}"
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    assert not cpu_has_bf16()
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    assert cpu_has_bf16()
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported")  # a torch without it
    assert not cpu_has_bf16()
