"""Answers of our runner: plain data, errors too, because salt-api shows a runner's exception as a traceback."""

import logging
import re
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)

_URL_LOGIN = re.compile(r"(?<=://)[^/@\s]+@")


class Refused(Exception):
    """An error for the caller: a stable `code`, one sentence, and in `detail` the words of Salt or git."""

    def __init__(self, code: str, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.detail = code, message, detail


def answer(failure: str, sentence: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `work` returns, with `ok: True`; an error as data. Never raises.

    `failure` and `sentence`: the code and the message of what nobody foresaw; its traceback goes to the master's log.
    """
    try:
        return {"ok": True} | work()
    except Refused as refused:
        return _error(refused.code, refused.message, refused.detail)
    except Exception as error:
        log.exception("brinepool: %s", sentence)
        return _error(failure, sentence, f"{type(error).__name__}: {error}")


def without_login(text: str) -> str:
    """The text with user names and passwords taken out of the URLs in it."""
    return _URL_LOGIN.sub("", text)


def _error(code: str, message: str, detail: str) -> dict[str, Any]:
    return {"ok": False, "error": {"code": code, "message": message, "detail": without_login(detail.strip())}}
