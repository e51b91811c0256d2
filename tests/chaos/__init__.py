"""The chaos run: environments come and go while everything is killed; afterwards all worlds must agree exactly.

`python -m tests.chaos --help` says how to start it; `docs` of each part are in its module:
plan.py       what one round does and what is done to it, made from the seed alone
fakeworld.py  a real Brinepool process over a fake Salt whose runner is the real one
realworld.py  the whole embedded stack
clients.py    several people at once, through the HTTP API
drive.py      carries a round out: clients, kills, the end of everything, verification
verify.py     what must be true afterwards; pure
report.py     what is counted and printed
mutations.py  protections that can be switched off, to see that the run notices
"""
