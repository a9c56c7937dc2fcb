"""What the server has written down: sessions and their rounds, secrets, stories, over one database."""
