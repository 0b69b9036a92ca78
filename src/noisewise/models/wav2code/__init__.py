"""Wav2code: a codebook of clean speech, its prediction from noisy speech, and the fusion of both."""
