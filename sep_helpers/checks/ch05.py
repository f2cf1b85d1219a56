"""Judges of chapter 05's exercises."""

JUDGES = {}
