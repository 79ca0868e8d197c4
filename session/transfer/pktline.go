package transfer

import "strconv"

// maxPktLine is the longest pkt-line with its length; gitprotocol-common(5).
const maxPktLine = 65520 // bytes

// The pkt-lines that are none but a mark: gitprotocol-v2(5). A reader gives them
// as kinds, any other one as pktData.
type pktKind uint8

const (
	pktData pktKind = iota
	pktFlush
	pktDelim
	pktEnd // of a response
)

// packets takes a stream of pkt-lines apart. It holds one of them at most.
type packets struct {
	head []byte // of the length, as far as it has come
	left int    // bytes of the payload that are to come
	body []byte // those that have
	skim bool   // payloads aren't looked at: they are given empty
}

// next reads from p to the end of a pkt-line, if that is in p: then whole is
// true. payload is good until the next call.
func (k *packets) next(p []byte) (used int, kind pktKind, payload []byte, whole bool, wrong string) {
	if k.left == 0 {
		used = min(4-len(k.head), len(p))
		k.head = append(k.head, p[:used]...)
		if len(k.head) < 4 {
			return used, 0, nil, false, ""
		}
		n, err := strconv.ParseUint(string(k.head), 16, 16)
		k.head, k.body = k.head[:0], k.body[:0]
		switch {
		case err != nil:
			return 0, 0, nil, false, "a pkt-line has no length"
		case n < 3:
			return used, pktFlush + pktKind(n), nil, true, ""
		case n == 3 || n > maxPktLine:
			return 0, 0, nil, false, "a pkt-line is too long"
		case n == 4:
			return used, pktData, nil, true, ""
		}
		k.left = int(n) - 4
	}
	part := p[used:min(len(p), used+k.left)]
	used += len(part)
	k.left -= len(part)
	switch {
	case k.skim:
	case k.left == 0 && len(k.body) == 0:
		payload = part
	default:
		k.body = append(k.body, part...)
		payload = k.body
	}
	return used, pktData, payload, k.left == 0, ""
}
