"""What is wrong with the labels: scores on arrays, and the ranking a person works through."""

from shoebox.quality._label_scores import log_odds_margin, margin_to_score
from shoebox.quality._ranking import Ranking, rank_predictions

__all__ = ["Ranking", "log_odds_margin", "margin_to_score", "rank_predictions"]
