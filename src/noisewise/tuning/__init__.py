"""Tuning of decoding weights on a development set; `tuning.model.tune_model` is what `noisewise lm tune` calls."""
