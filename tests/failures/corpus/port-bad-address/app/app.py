import socket

socket.create_server(("192.0.2.10", 8000))
