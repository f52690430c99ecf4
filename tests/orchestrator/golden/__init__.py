"""One story, told by every kind of agent."""
