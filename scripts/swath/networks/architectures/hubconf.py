"""Networks of segmentation-models-pytorch and timm, in the form torch.hub and Raster Vision load and bundle."""

dependencies = ["torch", "segmentation_models_pytorch", "timm"]


def segmentation_model(architecture, encoder, in_channels, classes, **arguments):
    """Build a network: input (N, in_channels, H, W) float32 in 0..1, output (N, classes, H, W) logits."""
    import segmentation_models_pytorch

    return segmentation_models_pytorch.create_model(
        architecture,
        encoder_name=encoder,
        encoder_weights=None,
        in_channels=in_channels,
        classes=classes,
        **arguments,
    )


def classification_model(encoder, in_channels, classes, **arguments):
    """Build a network: input (N, in_channels, H, W) float32 in 0..1, output (N, classes) logits."""
    import timm

    return timm.create_model(encoder, pretrained=False, in_chans=in_channels, num_classes=classes, **arguments)
