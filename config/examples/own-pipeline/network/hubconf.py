"""A small network, in the form torch.hub and Raster Vision load and bundle."""

dependencies = ["torch", "segmentation_models_pytorch"]


def small_unet(bands, classes):
    """Build a U-Net that learns on a CPU, too: input (N, bands, H, W) in 0..1, output (N, classes, H, W) logits."""
    import segmentation_models_pytorch

    return segmentation_models_pytorch.Unet(
        "tu-resnet10t",
        encoder_depth=2,
        encoder_weights=None,
        decoder_channels=[32, 16],
        in_channels=bands,
        classes=classes,
    )
