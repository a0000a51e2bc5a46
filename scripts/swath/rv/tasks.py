"""The tasks by name."""

from swath.rv.classification import ChipClassification
from swath.rv.detection import ObjectDetection
from swath.rv.segmentation import SemanticSegmentation
from swath.rv.task import Task

TASKS: dict[str, Task] = {
    "semantic_segmentation": SemanticSegmentation(),
    "object_detection": ObjectDetection(),
    "chip_classification": ChipClassification(),
}
