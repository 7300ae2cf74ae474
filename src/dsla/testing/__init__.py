"""Public checks: what every assigner promises, and parity with the numbers of released code."""

from dsla.testing.assigner_checks import CHECKS, check_assigner

__all__ = ["CHECKS", "check_assigner"]
