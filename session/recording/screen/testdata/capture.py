#!/usr/bin/env python3
"""Makes captures.jsonl.gz: what real programs write to terminals.

As root on Debian with bash, vim, less, htop, mc, tmux, screen, dialog,
emacs-nox, ncurses-term and util-linux:

    unshare --mount --uts --ipc --pid --fork --mount-proc ./capture.py captures.jsonl.gz

Each line is a capture: program, TERM, size, and its events, "o" for output in
base64, "r" for a new size, "c" where the program waits and the screen can be
compared.
"""
import base64, fcntl, gzip, json, multiprocessing, os, pty, select, signal, struct, subprocess, sys, termios, time

ROOT = "/srv"
TERMS = ["xterm-256color", "putty", "linux", "screen", "vt100"]
ESC, UP, LEFT, RIGHT, DOWN = "\x1b", "\x1b[A", "\x1b[D", "\x1b[C", "\x1b[B"
RESIZE = [(100, 30), (60, 18), None]  # None: the size at the start

LONG = "echo " + " ".join("word%d" % i for i in range(30))
PROGRAMS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], [
        "ls -l --color=always\r", LONG, "\x01", RIGHT * 5, "first ", "\x05", LEFT * 12, "\x7f\x7f\x7f", "XY", "\x0b", "\r",
        "printf '\\e[1;31mred\\e[0m 日本語 e\\u0301 tab\\there\\n'\r", UP, UP, "\x15", "cat te\t\r", "\x12wor", "\r",
        RESIZE[0], "seq 40\r", RESIZE[1], "echo \x1b.\r", "\x0c", "echo $COLUMNS\r", RESIZE[2], "ls\r"]),
    "vim": (["vim", "--clean", "-c", "syntax on", "code.c"], [
        "\x06", "\x06", "\x02", "/return\r", "n", "ihello 日本 world" + ESC, "o" + "long " * 40 + ESC, "yyp", "dd", "u", ":split\r",
        RESIZE[0], "G", "10j", "Vjj", ESC, ":set number\r", RESIZE[1], "zz", "\x15", ":only\r", RESIZE[2], ":%s/int/long/g\r", ":vsplit text\r", "\x17l", ":qa!\r"]),
    "less": (["less", "text"], [
        " ", " ", "b", "/word7\r", "n", "20g", RESIZE[0], "j", "j", "k", "G", RESIZE[1], "g", RESIZE[2], "-N\r", "d", "u", "q"]),
    "htop": (["htop", "-d", "5"], [DOWN, "t", RESIZE[0], "I", RESIZE[1], "\x1b[15~", RESIZE[2], "h", " "]),
    "mc": (["mc", "-u", "-x"], [
        DOWN, "\t", DOWN, "\x1b3", DOWN * 8, "q", RESIZE[0], "\x1b9", RIGHT, DOWN, ESC + ESC, RESIZE[1], "\x1b7", "newdir", "\t", ESC + ESC, RESIZE[2], "\x0f", "\x0f", "\x1b0"]),
    "tmux": (["tmux", "-L", "capture", "-f", "/dev/null", "new", "bash --norc --noprofile"], [
        "ls -l --color=always\r", "\x02%", "seq 50\r", "\x02\"", "vim --clean text\r", RESIZE[0], "\x02o", LONG + "\r", RESIZE[1], "\x02z", RESIZE[2], "\x02z", "\x02x", "y", "\x02:kill-server\r"]),
    "screen": (["screen", "-c", "/dev/null", "bash", "--norc", "--noprofile"], [
        "ls -l --color=always\r", LONG + "\r", "less text\r", " ", "q", "\x01S", "\x01\t", "\x01c", "seq 30\r", RESIZE[0], "vim --clean code.c\r", RESIZE[1], ":q\r", RESIZE[2], "\x01X", "exit\r"]),
    "dialog": (["dialog", "--title", "Lab", "--menu", "Which data set do you want?", "15", "50", "5", "a", "Heart 心", "b", "Lung", "c", "Brain", "d", "Kidney"], [
        "+", "+", "\t", RESIZE[0], "\t", "-", RESIZE[1], "+", RESIZE[2], "\r"]),
    "emacs": (["emacs", "-nw", "-Q", "code.c"], [
        "\x16", "\x16", "\x13return", "\r", "hello 日本 ", "\x182", RESIZE[0], "\x18o", "\x183", "\x1b>", RESIZE[1], "\x0b", "\x19\x19", "\x181", RESIZE[2], "\x1bxdired\r\r", "\x18\x03", "yes\r"]),
}


def files(n):
    home = "%s/%d/lab" % (ROOT, n)
    os.makedirs(home + "/results")
    os.chdir(home)
    with open("text", "w") as f:
        for i in range(1, 300):
            f.write(("%d: " % i) + " ".join("word%d" % (i * k % 97) for k in range(i % 25)) + (" 日本語" if i % 7 == 0 else "") + "\n")
    with open("code.c", "w") as f:
        for i in range(60):
            f.write("/* Function %d. */\nint f%d(int x, char *s)\n{\n\tif (x > %d)\n\t\treturn x * %d;\n\treturn \"text\"[x];\n}\n\n" % (i, i, i, i + 1))
    for name in ["heart.csv", "lung.csv", "brain.csv"]:
        with open(name, "w") as f:
            f.write("id,value\n")
    for name in os.listdir(".") + ["."]:
        os.utime(name, (1893456000, 1893456000))
    return home


def set_size(fd, cols, rows):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))


def quiet(fd, events, seconds, most):
    end, out = time.monotonic() + most, b""
    while time.monotonic() < end:
        ready, _, _ = select.select([fd], [], [], seconds)
        if not ready:
            break
        try:
            b = os.read(fd, 65536)
        except OSError:
            b = b""
        if not b:
            events.append(["o", base64.b64encode(out).decode()])
            return False
        out += b
    if out:
        events.append(["o", base64.b64encode(out).decode()])
    return True


def capture(job):
    n, name, term, cols, rows = job
    argv, steps = PROGRAMS[name]
    home = files(n)
    pid, fd = pty.fork()
    if pid == 0:
        set_size(0, cols, rows)
        os.execvpe(argv[0], argv, {
            "TERM": term, "HOME": home, "TMUX_TMPDIR": home, "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8",
            "PS1": "$ ", "SHELL": "/bin/bash", "USER": "alice", "TZ": "UTC", "HISTFILE": "", "LESSHISTFILE": "-", "SCREENDIR": home + "/.screen"})
    set_size(fd, cols, rows)
    wait = 0.6 if name in ("emacs", "tmux", "screen", "mc") else 0.25
    events = []
    alive = quiet(fd, events, 1.0, 4)
    events.append(["c"])
    for step in steps:
        if not alive:
            break
        if step is None or isinstance(step, tuple):
            size = step or (cols, rows)
            events.append(["r", *size])
            set_size(fd, *size)
        else:
            os.write(fd, step.encode())
        alive = quiet(fd, events, wait, 1.5)
        if alive:
            events.append(["c"])
    os.close(fd)
    try:
        os.kill(pid, signal.SIGHUP)
    except ProcessLookupError:
        pass
    os.waitpid(pid, 0)
    return {"program": name, "term": term, "cols": cols, "rows": rows, "events": events}


def main():
    out = os.path.abspath(sys.argv[1])
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", ROOT], check=True)
    subprocess.run(["hostname", "home"], check=True)
    jobs = []
    for name in PROGRAMS:
        for term in TERMS:
            for cols, rows in [(80, 24), (132, 43), (40, 12)] if term == "xterm-256color" else [(80, 24)]:
                jobs.append((len(jobs), name, term, cols, rows))
    with open(out, "wb") as f, gzip.GzipFile(fileobj=f, mode="wb", mtime=0, filename="") as z, multiprocessing.Pool(6) as pool:
        for c in pool.imap(capture, jobs, 1):
            print(c["program"], c["term"], c["cols"], c["rows"], sum(len(e[1]) * 3 // 4 for e in c["events"] if e[0] == "o"), flush=True)
            z.write((json.dumps(c) + "\n").encode())


main()
