"""The write path: what it takes to make an event durable and to bring it to a client."""
