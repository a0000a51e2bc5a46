"""The names written down in swath.config.library_names are those the libraries know."""

import inspect

import albumentations
import segmentation_models_pytorch as smp

from swath.config.library_names import ARCHITECTURES, AUGMENTATIONS, ENCODERS


def test_encoders_are_those_of_segmentation_models_pytorch() -> None:
    assert set(smp.encoders.get_encoder_names()) == ENCODERS


def test_architectures_are_those_of_segmentation_models_pytorch() -> None:
    known = {name.replace("smp-", "") for name in ARCHITECTURES}
    assert known == set(smp.MODEL_ARCHITECTURES_MAPPING)


def test_augmentations_are_those_of_albumentations() -> None:
    bases = (albumentations.ImageOnlyTransform, albumentations.DualTransform)
    known = {
        name
        for name, thing in vars(albumentations).items()
        if inspect.isclass(thing) and issubclass(thing, bases) and thing not in bases
    }
    assert known == AUGMENTATIONS
