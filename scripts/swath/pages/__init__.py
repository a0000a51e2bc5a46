"""Pages that need neither a network nor anything beside them, and look alike."""
