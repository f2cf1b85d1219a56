"""How often 10,000 mixtures of two voices could be drawn in a second: seed, cuts, levels, table.

The levels of the recordings are known by then; the first draw of a corpus has to read them once.
"""

from dataclasses import replace

import _ratio

from sep_helpers import corpora, course_views, views

corpus = corpora.embedded()
recipe = replace(course_views.recipe("train", corpus), speed=0.0, n_mixtures=10_000)
views.freeze(corpus, recipe)
times = [_ratio.seconds(lambda: views.freeze(corpus, recipe)) for _ in range(9)]
_ratio.report("draw", [1 / t for t in times], "10,000 mixtures a second", goal=1)
