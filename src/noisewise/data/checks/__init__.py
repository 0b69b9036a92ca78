"""What is wrong with a corpus: broken audio, transcripts, duplicates, leaks between splits."""
