"""Exported models without torch: what they say of themselves, how they are run, and from raw outputs to boxes.

Nothing here imports torch, so that a server or a script needs NumPy and one run-time only.
"""
