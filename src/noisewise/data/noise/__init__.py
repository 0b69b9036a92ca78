"""Noise: which one, at which signal-to-noise ratio, and fixed sets of noisy recordings."""
