"""The detector: a timm backbone, a feature pyramid, one head shared by all levels, and the way to boxes."""

from dsla.models.decode import Decoding, Detected, detect
from dsla.models.detector import Detector
from dsla.models.head import BoxMode, HeadOutput

__all__ = ["BoxMode", "Decoding", "Detected", "Detector", "HeadOutput", "detect"]
