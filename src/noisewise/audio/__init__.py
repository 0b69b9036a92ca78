"""Recordings in and out, features, augmentation and mixing; knows `config` and nothing above."""
