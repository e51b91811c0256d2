import os
import signal

print("loading the catalogue")
os.kill(os.getpid(), signal.SIGKILL)
