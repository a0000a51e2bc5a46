"""Every check's name, level and meaning. Standard library only: the config's `checks.allow` is checked at parse."""

from __future__ import annotations

from typing import Literal

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")

MEANING: dict[Level, dict[str, str]] = {
    "error": {
        "image_unreadable": "An image cannot be opened, or its last pixels cannot be read.",
        "image_unusable": "A scene's files do not go together, or pixels are of a kind that cannot be used.",
        "no_georeference": "An image has no CRS or no geotransform.",
        "bands_missing": "A band that is asked for is not there, or images have different numbers of bands.",
        "needs_normalisation": "Imagery of more than 8 bits goes without normalisation.",
        "all_nodata": "An image, as far as it was sampled, holds no data at all.",
        "mixed_pixel_types": "8-bit and other images are to be normalised by one statistic.",
        "limits_per_band": "The range of `imagery.normalize` has not one limit per band.",
        "labels_unusable": "Labels cannot be read, or cannot be turned into classes.",
        "labels_empty": "A file of labels holds none, though unlabelled pixels are to be ignored.",
        "labels_outside": "All of a scene's labels lie outside its image.",
        "unknown_class": "Labels name a class that the config does not know.",
        "aoi_unusable": "An area of interest cannot be read or is empty.",
        "aoi_outside": "An area of interest lies outside its image.",
        "image_in_two_splits": "One image stands in two splits: what is learned by heart counts as learned.",
        "box_larger_than_chip": "A chip that is to be drawn around a box cannot hold it.",
        "scene_smaller_than_chip": "Random chips do not fit into a training or validation scene.",
        "model_arguments": "The network's arguments contradict each other.",
        "weights_unreadable": "The file of first weights is no file of weights.",
        "disk_space": "Chips need more room than the disk has.",
    },
    "warning": {
        "rotated_grid": "An image's grid is rotated, sheared, or has its south at the top.",
        "mostly_nodata": "More than 90 % of an image is without data.",
        "zeros_without_data": "An image holds zeros as values; pixels that are 0 in every band count as without data.",
        "undeclared_nodata": "A value that usually means 'no data' is common, but not declared as nodata.",
        "outliers": "A few extreme values would stretch the statistics that normalise the imagery.",
        "constant_band": "A band has the same value in every training scene.",
        "range_mismatch": "The fixed range of `imagery.normalize` does not match the images' values.",
        "band_taken_for_transparency": "A band is marked as transparency, but holds values as any other.",
        "scales_differ": "Scenes hold values of very different size: reflectance here, 8-bit values there.",
        "band_order_differs": "Bands are taken by number, but their names differ between scenes.",
        "resolution_differs": "Scenes have pixels of different size on the ground.",
        "labels_partly_outside": "Nearly all of a scene's labels lie outside its image.",
        "labels_smaller_than_image": "A label raster leaves a part of its image out, which counts as unlabelled.",
        "no_labelled_pixels": "Labels meet the image, but are too small to cover the middle of a pixel.",
        "invalid_geometries": "Many geometries are invalid; they are repaired, which can change their shape.",
        "aoi_smaller_than_chip": "No chip fits into an area of interest.",
        "image_twice": "One image stands in the table twice, in the same split.",
        "spatial_overlap": "A training scene overlaps a validation or test scene: the score would be too good.",
        "class_absent": "A class has no labels in the training or validation scenes.",
        "class_rare": "A class has very few labelled pixels in the training scenes.",
        "too_few_chips": "There are fewer training chips than fill a batch.",
    },
    "note": {
        "nan_values": "An image holds NaN, which counts as without data.",
        "dtypes_differ": "Scenes have different data types.",
        "eight_bit_values": "An image of a wider data type holds values of 0 to 255 only.",
        "zeros": "Pixels are 0 in every band, and no nodata value is declared: they count as without data.",
        "crs_differs": "Scenes have different CRS.",
        "some_labels_outside": "Some of a scene's labels lie outside its image.",
        "some_invalid_geometries": "A few geometries are invalid; they are repaired.",
        "class_absent_from_test": "A class has no labels in the test scenes.",
        "class_absent_from_fold": "A class has no labels in the scenes of a fold: it has no score there.",
        "transparency_left_out": "A band says how transparent pixels are; the model does not see it.",
        "scene_smaller_than_window": "A scene is smaller than a prediction window, which is then filled up.",
        "last_batch_of_one": "The last batch of an epoch would be a single chip, which is left out.",
        "weights_to_fetch": "ImageNet weights are not there yet: the run begins with fetching them.",
        "not_there_yet": "A rule has yet to make a scene's files; they are checked by the next run.",
    },
}

LEVEL_OF: dict[str, Level] = {name: level for level in LEVELS for name in MEANING[level]}
