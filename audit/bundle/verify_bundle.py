#!/usr/bin/env python3
"""Check a bundle of entry's (entry sessions bundle, entry audit proof SESSION), or the proof
of one record (entry audit proof EVENT), which needs --log-key, by the standard library alone. A second implementation of package bundle's format, to show that it is open.

    python3 verify_bundle.py FILE [--log-key KEY] [--witness KEY]... [--need NUMBER]

KEY is a C2SP verifier key, NAME+HASH+BASE64, or of the log a file with one. Without
--log-key the bundle is held against the key that it names itself, which doesn't show whose
log it is; without --witness so are its cosignatures, which then show nothing more. All
witnesses that are given have to have cosigned, or NUMBER of them. Exit status: 0 all holds,
1 something isn't what was written, 2 the file isn't a bundle, or KEY no key.

Sources: https://c2sp.org/tlog-proof, https://c2sp.org/tlog-checkpoint,
https://c2sp.org/signed-note, https://c2sp.org/tlog-cosignature, RFC 6962 section 2.1,
RFC 8032 section 5.1.7, and the package documentation of entry's session/recording.
"""
import argparse
import base64
import binascii
import hashlib
import json
import os
import re
import struct
import sys
import tarfile
import time

MOST_RECORDS, MOST_TEXT, MOST_SEALED = 100_000, 1 << 20, 4 << 20


class NotBundle(Exception):
    """The file can't be read as a bundle."""


class NotKey(Exception):
    """What was given isn't a key."""


class Disproved(Exception):
    """Something in it isn't what was written."""


def sha256(*parts):
    h = hashlib.sha256()
    for p in parts:
        h.update(p)
    return h.digest()


def unbase64(text):
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as e:
        raise NotBundle(f"malformed base64: {e}") from None


# Ed25519 (RFC 8032), verification alone: it needs no secret, so it needn't be constant in time.
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)  # of -1


def point(b):
    """Decompress a point, in extended coordinates."""
    y = int.from_bytes(b, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= P:
        raise ValueError("not a point")
    xx = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(xx, (P + 3) // 8, P)
    if (x * x - xx) % P:
        x = x * ROOT % P
    if (x * x - xx) % P or (x == 0 and sign):
        raise ValueError("not a point")
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(n, p):
    q = (0, 1, 1, 0)
    while n:
        if n & 1:
            q = add(q, p)
        p, n = add(p, p), n >> 1
    return q


BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def ed25519(key, message, signature):
    """Tell whether a signature is valid."""
    if len(key) != 32 or len(signature) != 64:
        return False
    try:
        a, r = point(key), point(signature[:32])
    except ValueError:
        return False
    s = int.from_bytes(signature[32:], "little")
    if s >= L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    left, right = times(s, BASE), add(r, times(h, a))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0


LOG, WITNESS = 1, 4  # kinds of keys: C2SP signed-note, and tlog-cosignature


def parse_key(text, kind):
    """A verifier key's name, the hash that signatures name it by, and its 32 bytes."""
    name, hashed, key = (text.strip().split("+", 2) + ["", ""])[:3]
    try:
        key = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 33 or key[0] != kind or hashed != sha256(name.encode(), b"\n", key)[:4].hex():
        raise NotKey(f"{text[:120]!r} isn't {'a log' if kind == LOG else 'a witness'}'s public key, or has a mistyped character")
    return name, bytes.fromhex(hashed), key[1:]


def open_head(note, log, witnesses):
    """Verify a signed tree head: its size, its root, and who cosigned it when."""
    text, sep, lines = note.partition("\n\n")
    text += "\n"
    origin, size, root = (text.split("\n") + ["", "", ""])[:3]
    if not sep or not re.fullmatch("0|[1-9][0-9]*", size) or origin != log[0]:
        raise Disproved("the tree head isn't one of this log's")
    own, by = False, []
    for line in lines.splitlines():
        mark, name, blob = (line.split(" ") + ["", "", ""])[:3]
        if mark != "\u2014":
            raise NotBundle("the tree head is no signed note")
        blob = unbase64(blob)
        if (name, blob[:4]) == log[:2]:
            if not ed25519(log[2], text.encode(), blob[4:]):
                raise Disproved("the log's signature under the tree head isn't valid")
            own = True
        for w in witnesses:
            if (name, blob[:4]) != w[:2]:
                continue
            at = int.from_bytes(blob[4:12], "big")
            if not ed25519(w[2], f"cosignature/v1\ntime {at}\n{text}".encode(), blob[12:]):
                raise Disproved(f"the signature of the witness {name} isn't valid")
            by.append((w, at))
    if not own:
        raise Disproved("the tree head isn't signed by the log's key")
    return int(size), unbase64(root), by


def follow_keys(text, own):
    """The log's key as it was first, and its changes: after how many records which key follows
    on, each signed by the key before and the new one."""
    lines = text.split("\n")
    if not text or lines.pop() != "" or len(lines) % 9:
        raise NotBundle("its file \"keys\" isn't whole")
    keys, changes = [], []
    for n in range(0, len(lines), 9):
        top, origin, size, _, old, new, empty = lines[n:n + 7]
        names, signed = [parse_key(old, LOG), parse_key(new, LOG)], "\n".join(lines[n:n + 6]) + "\n"
        follows = not keys or keys[-1] == old and int(size) > changes[-1][0]
        if top != "entry audit log changes its key" or empty or old == new or not re.fullmatch("0|[1-9][0-9]*", size) or not follows:
            raise Disproved("the changes of the log's key don't follow one on another")
        for key, line in zip(names, lines[n + 7:n + 9]):
            mark, name, blob = (line.split(" ") + ["", "", ""])[:3]
            blob = unbase64(blob)
            if mark != "\u2014" or (name, blob[:4]) != key[:2] or name != origin or not ed25519(key[2], signed.encode(), blob[4:]):
                raise Disproved("a change of the log's key isn't signed by both, the one before and the new one")
        keys += [new] if keys else [old, new]
        changes.append((int(size), names[1]))
    return ([parse_key(keys[0], LOG)] + [c[1] for c in changes], changes) if own in keys else ([parse_key(own, LOG)], [])


def leads_to(leaf, index, size, proof):
    """The root that an inclusion proof leads to (RFC 9162 section 2.1.3.2), or None."""
    if index >= size:
        return None
    at, last, h = index, size - 1, sha256(b"\0", leaf)
    for p in proof:
        if last == 0:
            return None
        if at & 1 or at == last:
            h = sha256(b"\1", p, h)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            h = sha256(b"\1", h, p)
        at, last = at >> 1, last >> 1
    return h if last == 0 else None


def parse_record(name, text):
    top, sep, note = text.decode().partition("\n\n")
    lines = top.split("\n")
    if not sep or len(lines) < 3 or lines[0] != "c2sp.org/tlog-proof@v1" or not lines[1].startswith("extra ") or not re.fullmatch("index (0|[1-9][0-9]*)", lines[2]):
        raise NotBundle(f"{name or 'the file'} is no tlog-proof with a record")
    index = int(lines[2][6:])
    if name is not None and name != f"records/{index + 1:012d}.tlog-proof":
        raise NotBundle(f"{name} has the proof of record {index + 1}")
    return index, unbase64(lines[1][6:]), [unbase64(x) for x in lines[3:]], note


def check_recording(f, size, expects):
    """Walk a recording's chain; expects are (segments, head, final). Returns how many
    segments there are, whether the last one is final, what is behind them, in bytes, and
    the header."""
    line = f.readline(16 << 10)
    if not line.startswith(b'{"entry_recording":1,') or not line.endswith(b"\n"):
        raise Disproved("the recording has no header")
    head, n, final, used = sha256(line), 0, False, len(line) + 32
    if f.read(32) != head:
        raise Disproved("the recording's header isn't what was written")
    left = list(expects)
    while True:
        for e in [e for e in left if e[0] == n]:
            left.remove(e)
            if e[1] != head or e[2] and not final:
                raise Disproved(f"the recording isn't the one that the log knows, up to segment {n}")
        top = f.read(21)
        magic, flags, index, _, length = struct.unpack(">4sBIQI", top) if len(top) == 21 else (b"", 0, 0, 0, 0)
        whole = not final and magic == b"ERS1" and flags in (0, 1) and index == n and 16 <= length <= MOST_SEALED
        rest = f.read(length + 36) if whole else b""
        if not whole or len(rest) != length + 36 or rest[length:length + 4] != top[17:] or rest[length + 4:] != sha256(b"\1", head, top, rest[:length + 4]):
            break
        head, n, final, used = rest[length + 4:], n + 1, flags == 1, used + 21 + length + 36
    if left:
        raise Disproved(f"the recording is cut or changed: the log knows {max(e[0] for e in left)} segments, {n} are whole")
    return n, final, size - used, json.loads(line)


def sealed_keys(session, header, known):
    """The digests that the recording's sealed key may have: that of its start, or of the
    last time that it was sealed to other auditors, which somebody signed who could open it.
    Until that one is in its place, it may have the one before, too. With them, what to say
    of it."""
    now, before, started, unproven = None, None, False, ""
    earlier, strayed, rightful = set(), None, None
    for what, r, e in known:
        if what == "session.started":
            now, started = now if started else r.get("key"), True
        elif what == "recording.rewrap-done":
            if r["key"] != now:
                raise Disproved(f"record {e['seq']} says that a key is in its place that isn't the last one")
            earlier.add(before)
            before = None
        elif what == "recording.rewrapped":
            w = e["rewrap"]
            lines = ["entry.rewrap/v1", session, f"from {w['from']}", f"to {r['key']}", f"set {w['set']} {w['count']}"]
            lines += [f"in {f}" for f in w.get("in", [])] + [f"out {f}" for f in w.get("out", [])]
            if "rewrap_key" in header and not ed25519(bytes.fromhex(header["rewrap_key"]), ("\n".join(lines) + "\n").encode(), unbase64(w.get("proof", ""))):
                raise Disproved(f"record {e['seq']}: who sealed the recording's key anew couldn't open it")
            if r["key"] == now:
                continue
            if now is None or w["from"] in ((now, rightful) if strayed else (now, before)):
                if "rewrap_key" in header:  # by who opened the key that was there: what was wrong before is over
                    if strayed and w["from"] != now:
                        earlier |= {before, now}
                    strayed, rightful = None, None
            elif w["from"] in earlier - {None} and "rewrap_key" in header:
                rightful = rightful or now
                earlier |= {before, now}
                strayed = f"record {e['seq']}: the recording's key was sealed anew from an earlier one than it had, and not again since"
            else:
                raise Disproved(f"record {e['seq']}: the recording's key was sealed anew from another one than it had")
            if w["from"] != before:
                earlier.add(before)
            now, before = r["key"], w["from"]
            if "rewrap_key" not in header:
                unproven = " (nothing shows that who sealed it anew could open it)"
    if strayed:
        raise Disproved(strayed)
    if now is None:
        return [], "they say nothing of its sealed key"
    if before:
        return [now, before], "its sealed key is one of two, since sealing it anew wasn't finished there" + unproven
    return [now], "its sealed key too" + unproven


def read(path):
    """The bundle's texts by name, and the tar file for the recording."""
    f = open(path, "rb")
    tar = tarfile.open(fileobj=f, mode="r:")  # not compressed
    texts, recording = {}, {}
    for m in tar:
        if m.type != tarfile.REGTYPE or m.sparse is not None or m.name in texts or m.name in recording:
            raise NotBundle(f"{m.name!r} is no file, or is there twice")
        if m.name.startswith("recording/") and m.name.endswith(".rec"):
            recording[m.name] = m
        elif m.size > MOST_TEXT or len(texts) > MOST_RECORDS:
            raise NotBundle(f"{m.name!r} is too large, or one too many")
        else:
            texts[m.name] = tar.extractfile(m).read()
    f.seek(tar.offset)
    while block := f.read(1 << 20):
        if any(block):
            raise NotBundle("something stands behind its end")
    return tar, texts, recording


def log_keys(first, changes):
    """The first key of a log, and its changes."""
    known, list_ = follow_keys(changes, first) if changes else ([parse_key(first, LOG)], [])
    if len(known) == 1 and changes:
        raise Disproved("the changes of the log's key aren't those of its key")
    return known, list_


def known_keys(key, changes):
    """The texts of a log's keys."""
    log_keys(key, changes)
    lines = changes.split("\n")
    return {key} | {lines[n + i] for n in range(0, len(lines) - 8, 9) for i in (4, 5)}


def key_at(keys, note):
    """Only one key may have signed so many records as the tree head states."""
    stated = (note.split("\n") + ["", ""])[1]
    return keys[0][sum(1 for after, _ in keys[1] if stated.isdecimal() and int(stated) > after)]


def check_gap(event, known):
    """Check the first record of a log that began anew: an auditor signed, for its first key,
    with which tree head the one before ended. known are the log's keys."""
    gap, public = event["gap"], event["gap"]["auditor"]
    digests = [base64.b64encode(sha256(t.encode())).decode() for t in (gap["checkpoint"], gap.get("earlier", ""), event["detail"])]
    first = f"{known[0][0]}+{known[0][1].hex()}+{base64.b64encode(bytes([LOG]) + known[0][2]).decode()}"
    want = f"entry audit log begins anew\n{first}\n{digests[0]}\n{gap.get('known', 0)}\n{digests[1]}\n{digests[2]}\n"
    text, _, line = gap["accepted"].partition("\n\n")
    mark, name, blob = (line.strip().split(" ") + ["", "", ""])[:3]
    key, blob = parse_key(public, LOG), unbase64(blob)
    if text + "\n" != want or mark != "\u2014" or (name, blob[:4]) != key[:2] or not ed25519(key[2], want.encode(), blob[4:]):
        raise Disproved("the first record of a later log isn't signed by the auditor whom it names")


def check_log(texts, folder, trusted, own, changes_text, witnesses):
    """Check the records of one log, in a folder, and take them out of texts: they, its key, the
    size and root of their tree head, who cosigned that, and the changes of the key."""
    known, changes = log_keys(trusted, changes_text) if trusted == own else follow_keys(changes_text, trusted)
    if parse_key(own, LOG) not in known:
        raise Disproved("the bundle is of another log than the key's")
    events, notes = [], set()
    for name in sorted(n for n in texts if n.startswith(folder + "records/")):
        index, line, proof, note = parse_record(name[len(folder):], texts.pop(name))
        if note not in notes:
            notes.add(note)
            log = key_at((known, changes), note)  # not proven yet
            size, root, by = open_head(note, log, witnesses)
            if changes and size <= changes[-1][0]:
                raise Disproved(f"the tree head is by a key that the log changed after record {changes[-1][0]}: whoever has that key still could have made it")
        if len(notes) > 1:
            raise Disproved("the records don't share one tree head")
        events.append((event_of(index, line, size, proof, root), line))
    if not events:
        raise NotBundle("it has no record")
    return events, log, size, root, by, changes


def verify(path, log_key, witness_keys, need):
    tar, texts, recording = read(path)
    about = texts.pop("bundle", b"").decode().split("\n")
    texts.pop("README.txt", None)
    if about[0] != "entry.bundle/v1" or len(about) < 4 or about[-1] != "":
        raise NotBundle("it has no file \"bundle\" of the schema entry.bundle/v1")
    session, own, named = about[1], about[2], about[3:-1]
    witnesses = [parse_key(k, WITNESS) for k in (witness_keys if witness_keys is not None else named)]
    logs = [("", own, texts.pop("keys", b"").decode())]
    while (name := f"next/{len(logs):02d}/keys") in texts:  # the session's log is one before: those after it
        logs.append((name[:-4], *texts.pop(name).decode().split("\n", 1)))
    # The one of the key that is trusted, without any the last; down from it each by the one after.
    of = [n for n, (_, key, changes) in enumerate(logs) if not log_key or log_key in known_keys(key, changes)]
    if not of:
        raise Disproved("the bundle is of another log than the key's")
    events, told, ended = [], [], None
    for n in range(of[-1], -1, -1):
        folder, key, changes = logs[n]
        trusted = n == of[-1]
        some, log, size, root, signed_by, changes = check_log(texts, folder, log_key if trusted and log_key else key, key, changes, witnesses if trusted else [])
        if trusted:
            by, top, told = signed_by, (log, size), [f"from record {after + 1} on the log is signed by another key, as the one before it signed" for after, _ in changes if after < size]
            all_cosigned(witnesses if witness_keys is not None else [], by, need)
        else:
            end, end_root = open_head(ended, key_at(log_keys(key, logs[n][2]), ended), [])[:2]
            if size > end or size == end and root != end_root:
                raise Disproved("the tree head of a log before isn't the one with which that ended, nor an earlier one")
            told.append(f"the log before ended with {end} records, as the next one's first record says, which an auditor signed" + (f"; it is proven up to record {size}, by its own key" if size < end else ""))
        events = some + events
        if n:
            first = some[0][0]
            if first["type"] != "log.gap" or first["seq"] != 1:
                raise Disproved("a later log doesn't begin with a record of the one before it")
            check_gap(first, log_keys(key, logs[n][2])[0])
            ended = first["gap"]["checkpoint"]
    for name in [t for t in texts if any(t.startswith(f"next/{n:02d}/records/") for n in range(of[-1] + 1, len(logs)))]:
        texts.pop(name)
        told.append("a record of a later log can't be held against this key")
    log, size = top

    of = [e for e, _ in events if session in (e.get("session"), e.get("recording", {}).get("id"))]
    conns = {e["conn"] for e in of if "conn" in e}
    for e, _ in events:
        begins = len(logs) > 1 and e["seq"] == 1 and e["type"] == "log.gap"
        if not begins and e not in of and e.get("conn") not in conns and session not in e.get("sessions", []):
            raise Disproved(f"record {e['seq']} is of another session")
    for name in texts:
        if name != f"recording/{session}.key" or not recording:
            raise NotBundle(f"{name!r} doesn't belong there")
    known = [(e["type"], e["recording"], e) for e, _ in events if e.get("recording", {}).get("id") == session]
    found = check_session(tar, texts, recording, session, known, [e["type"] for e in of]) if recording else "without the recording"
    print(f"{len(events)} records proven to stand in the log {log[0]}, of {size} records" + (" and those before it" if ended else ""))
    for line in told:
        print(line)
    tell_cosigned(by, "" if witness_keys is not None else ", by a key that the bundle itself names")
    print(f"session {session}: {found}; README.txt is no part of what is proven")
    types = [e["type"] for e, _ in events]
    for what, there in ("login", "login.succeeded" in types), ("start", "session.started" in types), ("end", "session.ended" in types or "recording.aborted" in types):
        if not there:
            print(f"it lacks the record of the {what}", file=sys.stderr)
    for _, line in events:
        print(line.decode("ascii"))


def event_of(index, line, size, proof, root):
    """The event of a record that is proven to be the one of its index."""
    if leads_to(line, index, size, proof) != root:
        raise Disproved(f"record {index + 1} isn't in the log: its proof doesn't lead to the signed root")
    event = json.loads(line)
    if event["seq"] != index + 1:
        raise Disproved(f"record {index + 1} says that it is another one")
    return event


def all_cosigned(witnesses, by, need):
    witnesses = list(dict.fromkeys(witnesses))
    lacking = [w[0] for w in witnesses if w not in [b for b, _ in by]]
    if len(witnesses) - len(lacking) < (need or len(witnesses)):
        raise Disproved(f"the tree head lacks cosignatures: of {', '.join(lacking)}")


def tell_cosigned(by, whose):
    for (name, *_), at in by:
        print(f"cosigned by {name} ({time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(at))}){whose}")
    if not by or whose:
        print("no witness whose key was given (--witness) has cosigned it: whoever has the log's key could have made it", file=sys.stderr)


def verify_proof(text, log_key, witness_keys, need):
    """Check the proof of one record, which says nothing of whose log it is."""
    if len(text) > MOST_TEXT:
        raise NotBundle("it is too large")
    if not log_key:
        raise NotBundle("a record alone doesn't say whose log it is: give the log's key, --log-key KEY")
    log = parse_key(log_key.strip(), LOG)
    witnesses = [parse_key(k, WITNESS) for k in witness_keys or []]
    index, line, proof, note = parse_record(None, text)
    size, root, by = open_head(note, log, witnesses)
    event_of(index, line, size, proof, root)
    all_cosigned(witnesses, by, need)
    print(f"1 record proven to stand in the log {log[0]}, of {size} records")
    tell_cosigned(by, "")
    print(line.decode("ascii"))


def check_session(tar, texts, recording, session, known, types):
    base = f"recording/{session}"
    if list(recording) != [base + ".rec"]:
        raise NotBundle("the recording is of another session")
    if "recording.failed" in types:
        raise Disproved("the log says that recording failed, and not how much of it there was")
    expects, ended, aborted = [], False, False
    for what, r, _ in known:
        if what == "session.started":
            expects.append((0, bytes.fromhex(r["header"]), False))
        elif what in ("session.ended", "recording.aborted"):
            expects.append((r.get("segments", 0), bytes.fromhex(r["head"]), what == "session.ended"))
            ended, aborted = ended or what == "session.ended", aborted or what == "recording.aborted"
    if not aborted and not (ended and "session.started" in types):
        raise Disproved("the session's start or its end isn't among the records")
    member = recording[base + ".rec"]
    n, final, behind, header = check_recording(tar.extractfile(member), member.size, expects)
    if behind or ended and not final:
        raise Disproved("there is something behind the recording's last segment" if behind else "the recording has no end")
    sealed = texts.pop(base + ".key", None)
    keys, of_key = sealed_keys(session, header, known)
    if keys and (sealed is None or sha256(sealed).hex() not in keys):
        raise Disproved("the recording's sealed key is missing, or isn't the one that the log knows")
    return f"{'complete' if ended else 'cut by a crash, as the log says'}, {n} segments, as the records say; {of_key}"


def main():
    p = argparse.ArgumentParser(description="Check a bundle of entry's.")
    p.add_argument("file")
    p.add_argument("--log-key")
    p.add_argument("--witness", action="append")
    p.add_argument("--need", type=int, default=0)
    a = p.parse_args()
    if not 0 <= a.need <= len({k.strip() for k in a.witness or []}):
        p.error("--need: at most as many as witnesses are given")
    try:
        if a.log_key and os.path.exists(a.log_key):
            with open(a.log_key, encoding="utf-8", errors="replace") as f:
                a.log_key = f.read(MOST_TEXT)
        a.log_key = a.log_key and a.log_key.strip()
        for kind, keys in (LOG, [a.log_key] if a.log_key else []), (WITNESS, a.witness or []):
            for key in keys:
                parse_key(key, kind)
    except (NotKey, OSError) as e:
        print(f"no key: {e}", file=sys.stderr)
        sys.exit(2)
    try:
        with open(a.file, "rb") as f:
            text = f.read(MOST_TEXT + 1)
        if text.startswith(b"c2sp.org/tlog-proof@"):
            return verify_proof(text, a.log_key, a.witness, a.need)
        verify(a.file, a.log_key, a.witness, a.need)
    except Disproved as e:
        sys.exit(f"NOT PROVEN: {e}")
    except (NotBundle, NotKey, tarfile.TarError, OSError, UnicodeDecodeError, ValueError, KeyError, TypeError) as e:
        print(f"not a bundle of entry's, or not a whole one: {e}", file=sys.stderr)
        sys.exit(2)
    if not a.log_key:
        print("held against the key that the bundle names itself: whose log it is isn't shown", file=sys.stderr)


if __name__ == "__main__":
    main()
