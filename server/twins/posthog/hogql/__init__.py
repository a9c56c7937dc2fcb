"""HogQL, PostHog's SQL over events, as far as its documentation asks questions of events, persons and groups.

Read by a parser of its own (`parser`), printed as PostHog prints it (`printer`), translated into SQLite
(`translation`) and run beside the server (`run`). What is not understood is refused by name, never guessed.
"""

from server.twins.posthog.hogql.nodes import HogQLError
from server.twins.posthog.hogql.parser import parse, parse_expression
from server.twins.posthog.hogql.run import Answer, run

__all__ = ["Answer", "HogQLError", "parse", "parse_expression", "run"]
