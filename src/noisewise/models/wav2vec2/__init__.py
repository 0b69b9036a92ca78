"""wav2vec 2.0 and Enhanced wav2vec 2.0 (EW2)."""
