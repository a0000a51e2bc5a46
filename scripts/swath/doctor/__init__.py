"""What a user must know before queueing: each point fine, a warning or an error, with its cure."""
