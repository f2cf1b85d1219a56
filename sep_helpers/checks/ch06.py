"""Judges of chapter 06's exercises."""

JUDGES = {}
