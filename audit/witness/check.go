package witness

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"entry/audit"
	"entry/audit/plain"
)

// onDisk is a log that only lies there.
type onDisk string

func (dir onDisk) Consistency(from, to uint64) ([]tlog.Hash, error) {
	if from == 0 || from == to {
		return nil, nil
	}
	return audit.Prove(string(dir), from, to)
}

// Check asks witnesses whether they cosign the log in dir, whose public key is key, and
// says what isn't as it should be. The error is of one that knows another log. It asks
// nothing where there is no log yet.
func Check(ctx context.Context, dir, key string, peers []*Peer) (warnings []string, err error) {
	for _, p := range peers {
		if where := here(ctx, p.url); where != "" {
			warnings = append(warnings, fmt.Sprintf("the witness %s runs on this machine (%s): who controls it controls both", plain.Word(p.Name()), where))
		}
	}
	origin, _, _ := strings.Cut(key, "+")
	if origin == "entry" {
		warnings = append(warnings, "the audit log is called \"entry\", as that of every server made without --origin: a witness can cosign only one of that name")
	}
	h, err := audit.ReadHead(dir, key)
	if errors.Is(err, os.ErrNotExist) {
		return warnings, nil
	}
	if err != nil {
		return warnings, err
	}
	known, err := newest(dir, origin, keysOf(peers...))
	if err != nil {
		return warnings, err
	}
	ctx, cancel := context.WithTimeout(ctx, exchange)
	defer cancel()
	for i, p := range peers {
		// What a server pushes as well: nothing is given away, and nothing is too early.
		_, err := p.cosign(ctx, onDisk(dir), h.Signed, h.Size, known[i].Size)
		switch {
		case err == nil:
		case errors.Is(err, ErrForked), errors.Is(err, ErrBehind):
			if now, rerr := audit.ReadHead(dir, key); rerr == nil && now.Size > h.Size {
				continue // a server has pushed more meanwhile
			}
			return warnings, fmt.Errorf("the witness %s %w", plain.Word(p.Name()), err)
		default:
			warnings = append(warnings, fmt.Sprintf("the witness %s %v", plain.Word(p.Name()), err))
		}
	}
	return warnings, nil
}

// Unready asks witnesses whether they take checkpoints that next signs, for the log in dir
// whose public key is key, and returns why they don't, by their names. A log without a
// record is no question. What they are asked is what the log's key has signed, too.
func Unready(ctx context.Context, dir, key string, next note.Signer, peers []*Peer) (map[string]error, error) {
	h, err := audit.ReadHead(dir, key)
	if errors.Is(err, os.ErrNotExist) || err == nil && h.Size == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	text, _, _ := strings.Cut(string(h.Signed), "\n\n")
	signed, err := note.Sign(&note.Note{Text: text + "\n"}, next)
	if err != nil {
		return nil, fmt.Errorf("sign with the next key: %w", err)
	}
	origin, _, _ := strings.Cut(key, "+")
	known, err := newest(dir, origin, keysOf(peers...))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, exchange)
	defer cancel()
	out := map[string]error{}
	for i, p := range peers {
		// By the present key first: one that grows by the next key has done with this one.
		_, err := p.cosign(ctx, onDisk(dir), h.Signed, h.Size, known[i].Size)
		if err == nil {
			_, err = p.cosign(ctx, onDisk(dir), signed, h.Size, h.Size)
		}
		// Whoever knows of more records by now has looked at the signature before.
		if err != nil && !errors.Is(err, ErrBehind) {
			out[p.Name()] = err
		}
	}
	return out, nil
}

// here is the address of this machine to which a URL leads, or "".
func here(ctx context.Context, at string) string {
	u, err := url.Parse(at)
	if err != nil {
		return ""
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return "" // asking it says more
	}
	own, _ := net.InterfaceAddrs() // without them loopback is still known
	for _, a := range addrs {
		if a = a.Unmap(); a.IsLoopback() {
			return a.String()
		}
		for _, o := range own {
			if p, err := netip.ParsePrefix(o.String()); err == nil && p.Addr().Unmap() == a {
				return a.String()
			}
		}
	}
	return ""
}
