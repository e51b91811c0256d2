import os
import socketserver


class Mail(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 mail.example.org ESMTP\r\n")


socketserver.TCPServer.allow_reuse_address = True
socketserver.TCPServer((os.environ["HOST"], int(os.environ["PORT"])), Mail).serve_forever()
