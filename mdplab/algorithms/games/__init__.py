"""Learning in games: one method a file."""
