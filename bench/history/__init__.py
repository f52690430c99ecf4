"""What a session's past costs: bytes for each thousand tokens, and the memory in which a very long session opens."""
