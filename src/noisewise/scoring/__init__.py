"""Scores: hypotheses against references, tags against labels, and how sure the scores are."""
