package control

import "bytes"

// size is a pane's.
type size struct{ cols, rows int }

// layouts calls f with each layout that a line has. A layout has a checksum, so that
// nothing else is taken for one: "8205,80x24,0,0{40x24,0,0,0,39x24,41,0,1}".
func layouts(line []byte, f func(all size, panes map[uint32]size)) {
	for word := range bytes.FieldsFuncSeq(line, func(r rune) bool { return r == ' ' || r == '\t' || r == '"' || r == '\'' || r == ';' }) {
		for _, w := range [][]byte{word, bytes.TrimSuffix(word, []byte("]"))} { // [layout …], in list-windows
			if len(w) > 6 && w[4] == ',' && hex4(w[:4]) == checksum(w[5:]) {
				if all, panes := layout(w[5:]); panes != nil {
					f(all, panes)
				}
				break
			}
		}
	}
}

// checksum is tmux's layout_checksum.
func checksum(b []byte) int {
	sum := uint16(0)
	for _, c := range b {
		sum = sum>>1 + sum&1<<15 + uint16(c)
	}
	return int(sum)
}

// hex4 reads four hexadecimal digits; -1 if they are none.
func hex4(b []byte) int {
	n := 0
	for _, c := range b {
		switch {
		case c-'0' < 10:
			n = n<<4 | int(c-'0')
		case c-'a' < 6:
			n = n<<4 | int(c-'a'+10)
		default:
			return -1
		}
	}
	return n
}

// layout returns a layout's size, and those of its panes; nil if it is none. A cell is
// COLSxROWS,X,Y, and then ,PANE or cells in braces or brackets.
func layout(b []byte) (all size, panes map[uint32]size) {
	panes = map[uint32]size{}
	depth := 0
	for first := true; ; first = false {
		var n [4]int
		for i, after := range []byte{'x', ',', ','} {
			end := bytes.IndexByte(b, after)
			if end < 0 {
				return all, nil
			}
			v, ok := number(b[:end])
			if !ok {
				return all, nil
			}
			n[i], b = int(min(v, 1<<16)), b[end+1:]
		}
		if first {
			all = size{n[0], n[1]}
		}
		end := bytes.IndexAny(b, ",{[")
		if end < 0 || !digits(b[:end]) {
			return all, nil
		}
		open := b[end] != ','
		if b = b[end+1:]; open {
			depth++
			continue
		}
		if end = bytes.IndexAny(b, ",}]"); end < 0 {
			end = len(b)
		}
		pane, ok := number(b[:end])
		if !ok || len(panes) >= maxSizes {
			return all, nil
		}
		panes[pane] = size{n[0], n[1]}
		for b = b[end:]; len(b) > 0 && b[0] != ','; b = b[1:] {
			if depth--; depth < 0 || b[0] != '}' && b[0] != ']' {
				return all, nil
			}
		}
		if len(b) == 0 {
			if depth != 0 {
				return all, nil
			}
			return all, panes
		}
		b = b[1:]
	}
}
