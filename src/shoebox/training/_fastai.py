"""fastai, loaded whole and quietly: its parts give `Learner` fine_tune, lr_find and show_batch when imported."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    # fastai 2.8.12 meets newer torch, pandas and plum: six deprecations at import that no user can act on
    warnings.simplefilter("ignore")
    import fastai.vision.all as vision

__all__ = ["vision"]
