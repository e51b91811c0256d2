import signal

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with open("dump.sql", "wb") as file:
    file.write(b"x" * 100_000)
