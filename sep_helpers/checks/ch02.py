"""Judges of chapter 02's exercises."""

JUDGES = {}
