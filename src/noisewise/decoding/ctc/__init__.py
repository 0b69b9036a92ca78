"""Decoding of CTC posteriors: greedy and prefix beam search."""
