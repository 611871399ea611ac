"""Training with fastai on a data set's own split: data loaders, learners and the recorder.

fastai's `vision_learner` and `fine_tune` do the work; what is here feeds them pictures through the image door
and listens while they train.
"""

from shoebox.training import _fastai  # noqa: F401  first: quietly, and whole
from shoebox.training._dataloaders import augmentations, dataloaders
from shoebox.training._embed import backbone_features, backbone_name
from shoebox.training._fit import limit_threads, seed_everything, small_cnn, vision_learner
from shoebox.training._predict import predictions_later, predictions_of
from shoebox.training._progress import FitProgress
from shoebox.training._recorder import Recorder

__all__ = [
    "FitProgress",
    "Recorder",
    "augmentations",
    "backbone_features",
    "backbone_name",
    "dataloaders",
    "limit_threads",
    "predictions_later",
    "predictions_of",
    "seed_everything",
    "small_cnn",
    "vision_learner",
]
