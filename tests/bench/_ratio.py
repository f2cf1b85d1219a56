"""Ratios that can be trusted on a noisy machine: interleaved pairs in one process, medians."""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
STORED = ROOT / "assets" / "figures" / "bench"


def seconds(run: Callable) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def pairs(ours: Callable, theirs: Callable, count: int = 7, warmup: int = 2) -> list[float]:
    """theirs / ours, pair by pair, the two in turn: how many times as fast ours is."""
    for _ in range(warmup):
        ours(), theirs()
    return [seconds(theirs) / seconds(ours) for _ in range(count)]


def report(name: str, ratios: list[float], peer: str, goal: float, **more) -> None:
    """Print the one line, and store the figures (and `more`) with the machine's description."""
    from sep_helpers.workspace import machine

    median = statistics.median(ratios)
    print(f"{name}: {median:.2f} x {peer} (goal {goal:g}; {min(ratios):.2f} to {max(ratios):.2f})")
    STORED.mkdir(parents=True, exist_ok=True)
    figures = {"name": name, "median": round(median, 3), "peer": peer, "goal": goal,
               "ratios": [round(r, 3) for r in ratios], "machine": machine()} | more
    (STORED / f"{name}.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def agree(name: str, found: list[tuple[str, str, float, float]]) -> None:
    """Print and store how far figures are from others' and may be; the exit code is 1 if further.

    found: (figure, peer, the largest difference, its tolerance).
    """
    from sep_helpers.workspace import machine

    for figure, peer, largest, tolerance in found:
        print(f"{figure} and {peer} differ by {largest:.1g} at most, and may by {tolerance:g}")
    within = sum(largest <= tolerance for *_, largest, tolerance in found)
    print(f"{name}: {within} of {len(found)} within their tolerances")
    folder = STORED.parent / "agreement"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [{"figure": figure, "peer": peer, "largest": float(f"{largest:.2g}"),
              "tolerance": tolerance} for figure, peer, largest, tolerance in found]
    (folder / f"{name}.json").write_text(json.dumps(
        {"name": name, "found": lines, "machine": machine()}, indent=1) + "\n", encoding="utf-8")
    if within < len(found):
        raise SystemExit(1)
