"""The patches of Raster Vision. Where a test here fails for a new version, the patch it names can go."""

from __future__ import annotations

import inspect
from importlib.metadata import version

import numpy as np
import pytest

from swath.rv import upstream

CAN_GO = "can go: remove it from swath.rv.upstream, and this test"


def test_the_patches_are_for_the_installed_version() -> None:
    assert version("rastervision-core") == upstream.PATCHED_VERSION, "which patches can go?"


def test_numpy_still_lacks_int0_and_raster_vision_still_uses_it() -> None:
    from rastervision.core.data.utils import vectorization

    assert "np.int0" in inspect.getsource(vectorization), f"_restore_int0 {CAN_GO}"
    mask = np.zeros((40, 40), np.uint8)
    mask[5:20, 5:30] = 1
    polygons = list(vectorization.mask_to_building_polygons(mask, min_area=10, width_factor=0.5, thickness=0.001))
    assert len(polygons) == 1


def test_raster_vision_still_exports_onnx_and_no_longer_does_so_by_default() -> None:
    from rastervision.pytorch_learner.learner import Learner

    original = Learner.__dict__["save_model_bundle"].func
    default = inspect.signature(original).parameters["export_onnx"].default
    assert default is True, f"_save_bundles_without_onnx {CAN_GO}"
    assert Learner.__dict__["save_model_bundle"].keywords == {"export_onnx": False}


def test_raster_vision_still_reads_every_window_as_boundless() -> None:
    from rastervision.core.data.raster_source import rasterio_source
    from rastervision.core.data.utils import rasterio as utils

    from swath.rv import windows

    assert "boundless=True" in inspect.getsource(utils.read_window), f"_read_windows_plainly {CAN_GO}"
    assert windows.read_boundless is utils.read_window
    assert rasterio_source.read_window is windows.read_window
    ours, theirs = inspect.signature(windows.read_window), inspect.signature(utils.read_window)
    assert [(p.name, p.default) for p in ours.parameters.values()] == [
        (p.name, p.default) for p in theirs.parameters.values()
    ]


def test_another_version_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "version", lambda _: "0.32.0")
    monkeypatch.setattr(upstream, "_restore_int0", lambda: pytest.fail("patched"))
    upstream.apply()
