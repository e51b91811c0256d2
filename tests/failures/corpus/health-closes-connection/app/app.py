import os
import socketserver


class Nothing(socketserver.StreamRequestHandler):
    def handle(self):
        self.rfile.readline()


socketserver.TCPServer.allow_reuse_address = True
socketserver.TCPServer((os.environ["HOST"], int(os.environ["PORT"])), Nothing).serve_forever()
