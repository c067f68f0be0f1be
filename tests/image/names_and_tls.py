"""A name server that knows one name, and an HTTPS server that knows no report."""

import fcntl
import socket
import ssl
import struct
import sys
import threading

KNOWN = b"\x07reports\x08internal\x00"
BODY = b'{"title": "Not Found", "detail": "the certificate was good, and here is no report"}'
ANSWER = (
    b"HTTP/1.1 404 Not Found\r\nContent-Type: application/problem+json\r\n"
    b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)
A = 1
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def answer(query: bytes) -> bytes:
    """RFC 1035: the question again, and the address where one is asked for by the known name."""
    end = query.index(b"\x00", 12) + 5
    question = query[12:end]
    name, kind = question[:-4].lower(), struct.unpack("!H", question[-4:-2])[0]
    found = name == KNOWN and kind == A
    no_such_name = 0 if name == KNOWN else 3
    head = query[:2] + struct.pack("!HHHHH", 0x8180 | no_such_name, 1, int(found), 0, 0)
    address = b"\xc0\x0c" + struct.pack("!HHIH", A, 1, 60, 4) + bytes([127, 0, 0, 1])
    return head + question + (address if found else b"")


def serve_names(server: socket.socket) -> None:
    while True:
        query, client = server.recvfrom(512)
        server.sendto(answer(query), client)


def shake_hands(listener: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        client, _ = listener.accept()
        try:
            with context.wrap_socket(client, server_side=True) as connection:
                while not connection.recv(65536).endswith(b"\r\n\r\n"):
                    pass
                connection.sendall(ANSWER)
        except OSError:
            client.close()


names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
# A new network has its loopback interface down.
fcntl.ioctl(names, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
names.bind(("127.0.0.1", 53))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
listener = socket.create_server(("127.0.0.1", 8443))
threading.Thread(target=serve_names, args=(names,), daemon=True).start()
threading.Thread(target=shake_hands, args=(listener, context), daemon=True).start()
print("ready", flush=True)
threading.Event().wait()
