"""How good the model is, on pictures it has not trained on: accuracy, confusion, top losses, before and after."""

from shoebox.evaluation._compare import Comparison, compare
from shoebox.evaluation._folds import fold_of, out_of_fold_probabilities
from shoebox.evaluation._kept import KeptRegression
from shoebox.evaluation._metrics import accuracy_interval, confusion_matrix, most_confused
from shoebox.evaluation._report import Evaluation

__all__ = [
    "Comparison",
    "Evaluation",
    "KeptRegression",
    "accuracy_interval",
    "compare",
    "confusion_matrix",
    "fold_of",
    "most_confused",
    "out_of_fold_probabilities",
]
