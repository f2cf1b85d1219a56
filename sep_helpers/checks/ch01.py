"""Judges of chapter 01's exercises."""

JUDGES = {}
