import ssl
import sys
from http.server import HTTPServer, SimpleHTTPRequestHandler

server = HTTPServer((sys.argv[1], 8443), SimpleHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{sys.argv[2]}/cert.pem", f"{sys.argv[2]}/key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
