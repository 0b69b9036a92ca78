"""Tuning of decoding weights on a development set: what `noisewise lm tune` calls."""
