"""What the console's HTTP paths take and give: plain data, so that the command line need not load the server for it."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from .replies import Reply, Tone

CAUGHT_UP = "caught-up"  # the event of the stream that says so
LONGEST = 4000  # characters of what is said at once

ULID_PATTERN = r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$"


class Say(BaseModel):
    """Something that is said to Brinepool: `text` as it was typed, or `answer`, the `value` of an option that was
    picked. `message`: a ULID of the sender's; the same one sent again is done once, and answered again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str = Field("", max_length=LONGEST)
    answer: str = Field("", max_length=200)
    message: Annotated[str, StringConstraints(pattern=ULID_PATTERN)] | None = None


class Said(BaseModel):
    """What Brinepool answered. `message`, `seq`: the answer among the messages on the console. `operation`: the reply
    is the card of this operation, and the message changes until that has ended. `done`: false when nothing came of it:
    it was refused or not understood, or something is asked first."""

    message: str
    seq: int
    reply: Reply
    operation: str | None = None
    done: bool = True


class ConsoleMessageView(BaseModel):
    """A message as it reads now. `seq`: a new one whenever it was changed. `thread`: the message it belongs below.
    `operation`: it is the card of this operation and changes until that has ended."""

    seq: int
    at: datetime
    message: str
    thread: str
    reply: Reply
    operation: str | None = None

    @property
    def live(self) -> bool:
        """Whether it changes by itself."""
        return self.operation is not None and self.reply.tone is Tone.WORKING


class Read(BaseModel):
    """How far somebody has read. `unread`: whether there is more behind `seq`."""

    person: str
    seq: int
    unread: bool


class HaveRead(BaseModel):
    """Everything up to `seq` has been read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seq: int = Field(ge=0)
