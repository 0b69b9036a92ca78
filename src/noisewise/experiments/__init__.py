"""The experiments of a paper from one plan: what is trained, measured and printed, in order and resumable."""
