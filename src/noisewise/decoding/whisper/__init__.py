"""Decoding of Whisper: its own tokens, searched by the decoder alone, judged and timed by letters of CTC."""
