"""Whole sessions made ahead, and handed out once."""
