"""The detector: a timm backbone, a feature pyramid, one head shared by all levels, and the way to boxes."""

from dsla.models.complexity import Complexity, complexity_of
from dsla.models.decode import Decoding, Detected, detect
from dsla.models.detector import Detector
from dsla.models.head import BoxMode, HeadOutput

__all__ = ["BoxMode", "Complexity", "Decoding", "Detected", "Detector", "HeadOutput", "complexity_of", "detect"]
