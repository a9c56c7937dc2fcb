"""Real git over bare repositories: run apart from us, with nobody's configuration and nobody's hooks."""

from server.twins.github.git.process import Git, GitError, git_identity
from server.twins.github.git.repository import BareRepository

__all__ = ["BareRepository", "Git", "GitError", "git_identity"]
