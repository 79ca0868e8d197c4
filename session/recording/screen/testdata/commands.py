#!/usr/bin/env python3
"""Makes commands.jsonl.gz: what shells write to terminals while somebody types.

On Debian with bash, dash, zsh, fish, tmux and python3:

    ./commands.py commands.jsonl.gz

Each line is a capture: its name, size and events, [milliseconds, "o", output in
base64] or [milliseconds, "i", keys in base64].
"""
import base64, fcntl, gzip, json, os, pty, select, shutil, signal, struct, sys, tempfile, termios, time

UP, LEFT, RIGHT, TAB = "\x1b[A", "\x1b[D", "\x1b[C", "\t"
LONG = "echo " + " ".join("word%d" % i for i in range(30))
BASH = ["bash", "--norc", "--noprofile", "-i"]
MARKS = {"PS0": "\\[\x1b]133;C\x07\\]", "PS1": "\\[\x1b]133;D;$?\x07\x1b]133;A\x07\\]lab=\\[\x1b]133;B\x07\\]"}
CAPTURES = {
    # Keys in one string are typed one by one; a list is sent as one piece.
    "bash": (BASH, {"PS1": "\\[\\e[1;32m\\]alice@tinker\\[\\e[0m\\]:\\[\\e[34m\\]\\w\\[\\e[0m\\]$ "}, 80, [
        "ls\r", "cat seret.txt", LEFT * 7, "c", "\x01", RIGHT * 3, "\x05", "\r", UP + UP, "\r", "\x12secr", "\r",
        LONG + "\r", LONG, "\x01", "X=1 ", "\x05", "\r", "for i in 1 2\rdo echo $i\rdone\r",
        "cat he" + TAB, TAB, "a" + TAB, "\r", "echo one", "\x0c", " two\r", ["echo a\recho b\r"],
        "read -s -p 'Password: ' x\r", "hunter2\r", "sleep 1\r", "echo ahead\r", "echo '日本 ü'\r", "foo\x03", "exit\r"]),
    "paste": (BASH, {"PS1": "$ "}, 80, [["\x1b[200~echo one\necho two\x1b[201~"], "\r", ["id; echo pasted\r"], "exit\r"]),
    "plain bash": (BASH + ["-o", "emacs"], {"PS1": "# ", "INPUTRC": "./inputrc"}, 60, [
        "ls\r", LONG, "\x01", "Y=2 ", "\x05", "\r", "cat he" + TAB, TAB, "a" + TAB, "\r", UP, LEFT * 3, "\x15", "pwd\r", "exit\r"]),
    "no prompt": (BASH, {"PS1": ""}, 80, ["id\r", "echo hidden\r", "exit\r"]),
    "dash": (["dash"], {"PS1": "$ "}, 80, ["ls\r", "echo mistake\x7f\x7f\x7f\r", LONG + "\r", "if true\rthen echo x\rfi\r", "exit\r"]),
    "dash, odd prompt": (["dash"], {"PS1": "x"}, 80, ["id\r", "echo hidden\r", "stty -echo\r", "secret\r", "stty echo\r", "exit\r"]),
    "zsh": (["zsh", "-f", "-i"], {"PS1": "%n@tinker %1~ %# ", "RPS1": "right"}, 80, [
        "ls\r", "cat seret.txt", LEFT * 7, "c\r", UP, "\r", LONG + "\r", "for i in 1 2\rdo echo $i\rdone\r", "\x12secr", "\r", "exit\r"]),
    "fish": (["fish", "--no-config"], {}, 80, ["ls\r", "cat seret.txt", LEFT * 7, "c\r", "ls", "\r", "exit\r"]),
    "marks": (BASH, MARKS, 80, ["true\r", "false\r", "sh -c 'exit 42'\r", "exit\r"]),
    "python": (["python3", "-q"], {}, 80, ["1+1\r", "def f():\r    return 7\r\r", "f()\r", "\x04"]),
    "tmux": (["tmux", "-L", "commands", "-f", "/dev/null", "new", "env PS1='$ ' bash --norc --noprofile -i"], {}, 80, ["ls\r", "echo inside\r", "seq 30\r", "echo after\r", "exit\r"]),
}


def capture(name, argv, env, cols, keys):
    home = tempfile.mkdtemp()
    for n in ["secret.txt", "heart.csv", "health.csv"]:
        with open(home + "/" + n, "w") as f:
            f.write("in " + n + "\n")
    with open(home + "/inputrc", "w") as f:
        f.write("set enable-bracketed-paste off\n")
    begin, events = time.monotonic(), []
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(home)
        os.execvpe(argv[0], argv, {"PATH": os.environ["PATH"], "HOME": home, "TERM": "xterm-256color", "LANG": "C.UTF-8", "USER": "alice", **env})
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, cols, 0, 0))

    def event(kind, b):
        events.append([int((time.monotonic() - begin) * 1000), kind, base64.b64encode(b).decode()])

    def rest(quiet, most):
        end = time.monotonic() + most
        while time.monotonic() < end and select.select([fd], [], [], quiet)[0]:
            try:
                b = os.read(fd, 1 << 15)
            except OSError:
                return False
            if not b:
                return False
            event("o", b)
            if b"\x1b[c" in b: # who asks what terminal this is gets an answer
                os.write(fd, b"\x1b[?62;22c")
        return True

    rest(1.5, 3)
    for piece in keys:
        if isinstance(piece, list):
            pieces = piece
        else: # a cursor key is one
            pieces, i = [], 0
            while i < len(piece):
                n = 3 if piece.startswith("\x1b[", i) else 1
                pieces.append(piece[i:i + n])
                i += n
        for p in pieces:
            event("i", p.encode())
            os.write(fd, p.encode())
            rest(0.3 if p.endswith("\r") else 0.02, 0.5)
    rest(1, 2)
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    os.waitpid(pid, 0)
    shutil.rmtree(home)
    return {"name": name, "cols": cols, "rows": 24, "events": events}


with gzip.GzipFile(sys.argv[1], "wb", mtime=0) as out:
    for name, (argv, env, cols, keys) in CAPTURES.items():
        out.write((json.dumps(capture(name, argv, env, cols, keys)) + "\n").encode())
