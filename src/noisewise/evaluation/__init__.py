"""Evaluation: any recogniser on a grid of noise types and signal-to-noise ratios."""
