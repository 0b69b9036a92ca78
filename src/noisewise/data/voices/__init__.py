"""Voices that speak a text: espeak-ng and Piper."""
