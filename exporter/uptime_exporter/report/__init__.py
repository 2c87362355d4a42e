"""What was promised and what was kept, in a period, for people and for programs."""
