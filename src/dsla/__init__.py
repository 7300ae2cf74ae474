"""Anchor-free object detection with dynamic smooth label assignment."""
