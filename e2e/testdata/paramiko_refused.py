"""Jumps through entry with paramiko to a machine that isn't opened, and prints
what a script can tell its user.

usage: paramiko_refused.py PORT USER KEYFILE TARGET
"""
import logging
import sys

import paramiko

port, user, keyfile, target = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")

outer = paramiko.Transport(("127.0.0.1", port))
outer.start_client(timeout=60)
outer.auth_publickey(user, paramiko.Ed25519Key.from_private_key_file(keyfile))
assert outer.is_authenticated()
jump = outer.open_channel("direct-tcpip", (target, 22), ("", 0))
inner = paramiko.Transport(jump)
try:
    inner.start_client(timeout=60)
    inner.auth_publickey(user, paramiko.Ed25519Key.from_private_key_file(keyfile))
    session = inner.open_session(timeout=60)
    session.exec_command("true")
    print("opened:", session.makefile_stderr("r").read().decode())
except paramiko.SSHException as e:
    print("refused:", e)
outer.close()
