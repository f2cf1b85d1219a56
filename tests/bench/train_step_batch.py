"""The same step as train_step on a batch of four."""

from functools import partial

from _conv_tasnets import SMALL, compare, training_step

compare("train_step_batch", partial(training_step, batch=4), SMALL, goal=1.25)
