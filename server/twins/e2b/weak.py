"""The weaker tier."""
