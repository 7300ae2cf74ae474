"""The `dsla` command. It reads flags, calls what computes, and prints; torch and its kin are imported inside commands.

One file a command; `app.py` puts them together.
"""

from dsla.cli.app import main

__all__ = ["main"]
