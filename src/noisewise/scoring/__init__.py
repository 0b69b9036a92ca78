"""Scores: what was said against what was heard."""
