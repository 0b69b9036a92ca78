"""Recognisers and taggers behind a port: the transcription API of OpenAI, its Realtime API, and Wyoming."""
