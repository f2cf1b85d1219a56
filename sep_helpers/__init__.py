"""Helpers of the source-separation course: one file per concern, each usable on its own."""

__version__ = "0.1.0"
