"""What one thing takes, of each server, one by one: the numbers that the capacity model multiplies."""
