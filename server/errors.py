"""Every error this project raises on purpose.

    Mk0rError
    ├── UserError        a smarter caller could have avoided it: shown with the next action
    │   ├── UnknownSession
    │   └── BadInput
    ├── LegError         one vendor's part of provisioning failed; the others go on
    └── StackError       the local stack cannot do what was asked

Each carries our own sentence and what to do next. A vendor's text never goes in.
"""

from __future__ import annotations


class Mk0rError(Exception):
    """`message` says what happened, `next_action` what to do; `code` is for programs."""

    code = "error"

    def __init__(self, message: str, *, next_action: str = "", code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.next_action = next_action
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"{self.message} {self.next_action}".strip()


class UserError(Mk0rError):
    code = "bad_request"


class BadInput(UserError):
    code = "bad_input"


class UnknownSession(UserError):
    code = "unknown_session"

    def __init__(self) -> None:
        super().__init__(
            "No session has this key.",
            next_action="Call provision_session to start one, or check the key.",
        )


class LegError(Mk0rError):
    code = "leg_failed"

    def __init__(
        self, message: str, *, code: str, next_action: str, retryable: bool = False, again: bool = False
    ) -> None:
        super().__init__(message, code=code, next_action=next_action)
        self.retryable = retryable
        self.again = again
        """The vendor may have done it, and may be asked once more right now: after a look."""


class StackError(Mk0rError):
    code = "stack"
