import os
import signal

print("bundling 2140 modules")
os.kill(os.getpid(), signal.SIGKILL)
