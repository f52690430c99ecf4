"""The examples, each run by a test."""
