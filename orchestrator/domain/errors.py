"""What can go wrong, as a person is told it.

Every error has a stable `code` (kebab-case, for scripts), one sentence for the person that says what to do, and private
detail for the log. The class says whose move it is; each front door maps the class, never the code (HTTP status in
`web.problems`, exit code in `cli.main`).
"""


class BrinepoolError(Exception):
    """An error that a person is shown.

    `code`: stable, kebab-case. `message`: one clear sentence (it may go on with what to do next). `detail`: for the log
    and for ops, never for a chat room. `extra`: plain data that a front door may use, such as `{"nearest": [...]}`.
    """

    def __init__(self, code: str, message: str, *, detail: str = "", **extra: object) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail = detail
        self.extra = extra


class BadInput(BrinepoolError):
    """What was asked for makes no sense; asking again will not help. Exit code 2, HTTP 422."""


class NotFound(BrinepoolError):
    """It is not there. Exit code 2, HTTP 404."""


class Conflict(BrinepoolError):
    """Not possible now, because of the state something is in. Exit code 2, HTTP 409."""


class NotAllowed(BrinepoolError):
    """This person may not do that, or nobody knows who is asking. Exit code 3, HTTP 403 (401 without a token)."""


class Unavailable(BrinepoolError):
    """Something that Brinepool needs does not answer. Exit code 3, HTTP 503."""
