"""Names other libraries know, written down so that a wrong one is told at once, without importing torch.

Kept equal to the libraries by tests/unit/test_library_names.py.
"""

TORCHVISION_BACKBONES = {
    "deeplabv3": ("resnet50", "resnet101"),
    "faster_rcnn": ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    "classifier": ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
}
"""Networks that Raster Vision takes from torchvision → their backbones."""
EXTERNAL = "external"
"""The architecture that a folder with a `hubconf.py` defines."""
PLACEHOLDERS = ("{classes}", "{bands}", "{size}")
"""Arguments of such a network that Swath fills in."""
ARCHITECTURES = tuple(
    "unet unetplusplus manet linknet fpn pspnet pan deeplabv3plus upernet segformer dpt smp-deeplabv3".split()
)
ENCODERS = frozenset(
    """
    densenet121 densenet161 densenet169 densenet201 dpn107 dpn131 dpn68 dpn68b dpn92 dpn98 efficientnet-b0
    efficientnet-b1 efficientnet-b2 efficientnet-b3 efficientnet-b4 efficientnet-b5 efficientnet-b6
    efficientnet-b7 inceptionresnetv2 inceptionv4 mit_b0 mit_b1 mit_b2 mit_b3 mit_b4 mit_b5 mobilenet_v2
    mobileone_s0 mobileone_s1 mobileone_s2 mobileone_s3 mobileone_s4 resnet101 resnet152 resnet18 resnet34
    resnet50 resnext101_32x16d resnext101_32x32d resnext101_32x48d resnext101_32x4d resnext101_32x8d
    resnext50_32x4d se_resnet101 se_resnet152 se_resnet50 se_resnext101_32x4d se_resnext50_32x4d senet154
    timm-efficientnet-b0 timm-efficientnet-b1 timm-efficientnet-b2 timm-efficientnet-b3 timm-efficientnet-b4
    timm-efficientnet-b5 timm-efficientnet-b6 timm-efficientnet-b7 timm-efficientnet-b8 timm-efficientnet-l2
    timm-skresnet18 timm-skresnet34 timm-skresnext50_32x4d timm-tf_efficientnet_lite0 timm-tf_efficientnet_lite1
    timm-tf_efficientnet_lite2 timm-tf_efficientnet_lite3 timm-tf_efficientnet_lite4 vgg11 vgg11_bn vgg13 vgg13_bn
    vgg16 vgg16_bn vgg19 vgg19_bn xception
    """.split()
)
SENTINEL2_WEIGHTS = ("sentinel2-4b-l1c", "sentinel2-4b-l2a", "sentinel2-6b-l1c", "sentinel2-6b-l2a")
"""Weights of the catalogue that were trained on Sentinel-2, for the encoder `SENTINEL2_ENCODER`."""
SENTINEL2_ENCODER = "efficientnet-b4"
AUGMENTATIONS = frozenset(
    """
    AdditiveNoise AdvancedBlur Affine AtLeastOneBBoxRandomCrop AutoContrast BBoxSafeRandomCrop Blur CLAHE
    CenterCrop CenterCrop3D ChannelDropout ChannelShuffle ChromaticAberration CoarseDropout CoarseDropout3D
    ColorJitter ConstrainedCoarseDropout Crop CropAndPad CropNonEmptyMaskIfExists CubicSymmetry D4 Defocus
    Downscale ElasticTransform Emboss Equalize Erasing FDA FancyPCA FrequencyMasking FromFloat GaussNoise
    GaussianBlur GlassBlur GridDistortion GridDropout GridElasticDeform HEStain HistogramMatching HorizontalFlip
    HueSaturationValue ISONoise Illumination ImageCompression InvertImg Lambda LongestMaxSize MaskDropout
    MedianBlur Morphological Mosaic MotionBlur MultiplicativeNoise NoOp Normalize OpticalDistortion
    OverlayElements Pad Pad3D PadIfNeeded PadIfNeeded3D Perspective PiecewiseAffine PixelDistributionAdaptation
    PixelDropout PlanckianJitter PlasmaBrightnessContrast PlasmaShadow Posterize RGBShift RandomBrightnessContrast
    RandomCrop RandomCrop3D RandomCropFromBorders RandomCropNearBBox RandomFog RandomGamma RandomGravel
    RandomGridShuffle RandomRain RandomResizedCrop RandomRotate90 RandomScale RandomShadow RandomSizedBBoxSafeCrop
    RandomSizedCrop RandomSnow RandomSunFlare RandomToneCurve Resize RingingOvershoot Rotate SafeRotate
    SaltAndPepper Sharpen ShiftScaleRotate ShotNoise SmallestMaxSize Solarize Spatter SquareSymmetry Superpixels
    TextImage ThinPlateSpline TimeMasking TimeReverse ToFloat ToGray ToRGB ToSepia Transform3D Transpose
    UnsharpMask VerticalFlip XYMasking ZoomBlur
    """.split()
)


def weights_name(architecture: str, encoder: str) -> str:
    """Name an encoder's ImageNet weights: `<library>-<encoder>`, a file's name in `resources/weights/`.

    Args:
        architecture, encoder: As in the section `model`.

    Returns:
        `torchvision-resnet50` for `deeplabv3`, `faster_rcnn` and `classifier`; `timm-convnext_tiny` for the encoder
        `tu-convnext_tiny`, whatever the architecture; `smp-resnet18` for one of segmentation-models-pytorch.
    """
    if encoder.startswith("tu-"):
        return f"timm-{encoder.removeprefix('tu-')}"
    if architecture in TORCHVISION_BACKBONES:
        return f"torchvision-{encoder}"
    return f"smp-{encoder}"
