"""Logs in to entry and then to home with paramiko, as lab scripts do.

usage: paramiko_session.py PORT USER ANSWERS-SOCKET LOGIN

Prints what `exec` on home gave, the exit status, and the round trip of a file
over SFTP. paramiko never tries method "none", so the inner connection offers
what it has: keyboard-interactive.
"""
import socket
import sys

import paramiko

port, user, answers, login = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]


def ask(prompt):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(answers)
        s.sendall(prompt.encode())
        s.shutdown(socket.SHUT_WR)
        reply = b""
        while chunk := s.recv(4096):
            reply += chunk
    if not reply.startswith(b"+"):
        sys.exit("no answer to %r" % prompt)
    return reply[1:].decode()


def dialogue(title, instructions, prompts):
    return [ask(prompt) for prompt, echo in prompts]


outer = paramiko.Transport(("127.0.0.1", port))
outer.start_client(timeout=20)
outer.auth_interactive(user, dialogue)
assert outer.is_authenticated()

jump = outer.open_channel("direct-tcpip", ("home", 22), ("127.0.0.1", 0))
inner = paramiko.Transport(jump)
inner.start_client(timeout=20)
inner.auth_interactive(login, dialogue)
assert inner.is_authenticated()

channel = inner.open_session()
channel.exec_command("cat; echo problem >&2; exit 11")
channel.sendall(b"from paramiko\n")
channel.shutdown_write()
print("stdout:", channel.makefile("r").read().decode().strip())
print("stderr:", channel.makefile_stderr("r").read().decode().strip())
print("status:", channel.recv_exit_status())

sftp = paramiko.SFTPClient.from_transport(inner)
with sftp.open(sys.argv[5], "wb") as f:
    f.write(bytes(range(256)) * 4096)
with sftp.open(sys.argv[5], "rb") as f:
    print("sftp:", f.read() == bytes(range(256)) * 4096)

# A second session on the same connection, with a terminal.
shell = inner.open_session()
shell.get_pty("vt100", 90, 20)
shell.exec_command("stty size")
print("size:", shell.makefile("r").read().decode().strip().splitlines()[-1])
inner.close()
outer.close()
