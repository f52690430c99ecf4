"""The words and the log: event models, their one encoding, the store, the stream, and the fold over them."""
