"""Decoders: log-probabilities in, hypotheses out; they never see a model."""
