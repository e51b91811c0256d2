"""The grammar of chat: from a line of text to what was understood, and back. Pure, and never raises for any text.

A line travels through typed.py (what chat clients and courtesy add goes), commands.lark (the grammar), reading.py
(what the words mean, given what there is here) and checks.py (is it whole, does it exist). nearest.py finds what may
have been meant, spelling.py is the way back, topics.py what `help` says.
"""

from .spelling import spell
from .topics import Topic, examples, help_topics
from .understanding import complete, understand

__all__ = ["Topic", "complete", "examples", "help_topics", "spell", "understand"]
