"""A training step of a small Conv-TasNet, 4 s at 8 kHz: same configuration, loss, optimiser."""

from _conv_tasnets import SMALL, compare, training_step

compare("train_step", training_step, SMALL, goal=1.25)
