"""Forced alignment: when each word and letter of a known text was said."""
