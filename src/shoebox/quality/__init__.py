"""What is wrong with the labels: scores on arrays, and the ranking a person works through.

`_label_scores`, `_neighbours` and `_lanes` are pure functions on arrays; `_label_issues` and `_picture_issues` put
what they say into words; `_rank_pictures` brings everything into one `Ranking`. Needs numpy only.
"""

from shoebox.quality._first_order import classes_to_rank, first_order
from shoebox.quality._label_issues import rank_predictions
from shoebox.quality._label_scores import label_quality_scores, log_odds_margin
from shoebox.quality._lanes import Lane, checked_probabilities, combine_lanes, in_class_order
from shoebox.quality._neighbours import (
    Neighbours,
    find_neighbours,
    neighbour_distances,
    neighbour_probabilities,
    neighbours_wanted,
    unit_directions,
)
from shoebox.quality._picture_issues import Thresholds
from shoebox.quality._progress import ReviewProgress, review_progress, wilson_interval
from shoebox.quality._rank_pictures import rank_pictures
from shoebox.quality._ranking import Ranking

__all__ = [
    "Lane",
    "Neighbours",
    "Ranking",
    "ReviewProgress",
    "Thresholds",
    "checked_probabilities",
    "classes_to_rank",
    "combine_lanes",
    "find_neighbours",
    "first_order",
    "in_class_order",
    "label_quality_scores",
    "log_odds_margin",
    "neighbour_distances",
    "neighbour_probabilities",
    "neighbours_wanted",
    "rank_pictures",
    "rank_predictions",
    "review_progress",
    "unit_directions",
    "wilson_interval",
]
