"""Separating 30 s at once: a small Conv-TasNet, and the paper's best."""

from _conv_tasnets import PAPER, SMALL, compare, inference

compare("inference", inference, SMALL, goal=1.25)
compare("inference_paper", inference, PAPER, goal=1.25)
