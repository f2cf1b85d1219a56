"""Judges of chapter 04's exercises."""

JUDGES = {}
