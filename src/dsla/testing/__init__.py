"""Public checks: parity with the numbers of released code."""
