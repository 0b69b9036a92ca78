"""Decoding of attention encoder-decoders, jointly with CTC."""
