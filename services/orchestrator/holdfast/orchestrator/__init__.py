"""The worker: claims sessions, runs their workflows, and is the one writer of their logs meanwhile."""
