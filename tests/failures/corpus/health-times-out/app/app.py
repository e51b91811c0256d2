import os
import socket
import time

server = socket.create_server((os.environ["HOST"], int(os.environ["PORT"])))
print("waiting for the lock of the catalogue")
time.sleep(600)
