"""Changes the user name in the middle of a login, which only a hostile client does.

usage: paramiko_switch.py PORT FIRST SECOND ANSWERS-SOCKET [FIRST'S-KEY]

FIRST begins, by an unfinished dialogue or by proving a key; SECOND then tries
to finish with answers that are right for SECOND.
"""
import socket
import sys

import paramiko

port, first, second, answers = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]


def ask(prompt):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(answers)
        s.sendall(prompt.encode())
        s.shutdown(socket.SHUT_WR)
        reply = b""
        while chunk := s.recv(4096):
            reply += chunk
    return reply[1:].decode()


t = paramiko.Transport(("127.0.0.1", port))
t.start_client(timeout=20)
try:
    if len(sys.argv) > 5:
        left = t.auth_publickey(first, paramiko.Ed25519Key.from_private_key_file(sys.argv[5]))
        print("after the key:", ",".join(left))
    else:
        t.auth_interactive(first, lambda title, instructions, prompts: ["" for _ in prompts])
except paramiko.SSHException as e:
    print("first:", type(e).__name__)
try:
    t.auth_interactive(second, lambda title, instructions, prompts: [ask(p) for p, _ in prompts])
except (paramiko.SSHException, EOFError) as e:
    print("second:", type(e).__name__)
print("authenticated:", t.is_authenticated())
if t.is_authenticated():
    c = t.open_channel("direct-tcpip", ("home", 22), ("127.0.0.1", 65535))
    print("channel:", c is not None)
t.close()
