"""Runs a command on home and moves a file there with Fabric, through its gateway.

usage: fabric_jump.py PORT USER KEYFILE LOGIN FILE

Prints what the command gave and its exit status. There is nobody who could
answer a prompt, as in an unattended job.
"""
import io
import sys

from fabric import Connection

port, user, keyfile, login, path = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5]
keys = {"key_filename": keyfile, "allow_agent": False, "look_for_keys": False}

gateway = Connection("127.0.0.1", user=user, port=port, connect_kwargs=keys)
home = Connection("home", user=login, gateway=gateway, connect_kwargs=keys)
result = home.run("echo from fabric; echo problem >&2; exit 11", hide=True, warn=True)
print("stdout:", result.stdout.strip())
print("stderr:", result.stderr.strip())
print("status:", result.exited)
data = bytes(range(256)) * 4096
home.put(io.BytesIO(data), path)
back = io.BytesIO()
home.get(path, back)
print("sftp:", back.getvalue() == data)
home.close()
gateway.close()
