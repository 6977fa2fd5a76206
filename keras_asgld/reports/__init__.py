"""Records made into tables and pictures."""
