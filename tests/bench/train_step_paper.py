"""A training step of the paper's best Conv-TasNet, 4 s at 8 kHz."""

from _conv_tasnets import PAPER, compare, training_step

compare("train_step_paper", training_step, PAPER, goal=1.4)
