"""What surrounds a rule's script: its log, temporary names, messages, GPUs, and the container it runs in."""
