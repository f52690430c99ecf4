"""What nobody would send on purpose, and what must hold all the same. The long form: `python -m tests.fuzz`."""
