"""connect(password=…) never does keyboard-interactive: it must fail cleanly."""
import sys

import paramiko

client = paramiko.SSHClient()
client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
try:
    client.connect("127.0.0.1", int(sys.argv[1]), sys.argv[2], sys.argv[3], allow_agent=False, look_for_keys=False)
except paramiko.AuthenticationException as e:
    print("refused:", e)
else:
    print("let in")
