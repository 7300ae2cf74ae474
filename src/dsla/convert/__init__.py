"""Detectors of other programs in, our detectors out: names of tensors, preprocessing, thresholds.

docs/weights.md says what can be converted, what must be told, and what of it has been verified.
"""

from dsla.convert.reading import Conversion, convert
from dsla.convert.writing import export

__all__ = ["Conversion", "convert", "export"]
