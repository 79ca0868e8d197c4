package control

// fade finds in a pane's output what takes letters away, or may: all but text, new lines,
// tabs, colours, titles and modes. It isn't exact the other way: what takes nothing may
// count.
type fade struct {
	state fadeState
	back  bool // CR came last
	mode  int  // a parameter of a sequence
	alt   bool // one of them is a mode of the alternate screen
}

type fadeState uint8

const (
	inText fadeState = iota
	inEscape
	inControl
	inString
	inSet // of characters
)

// takes goes on with output, and reports whether that had any.
func (f *fade) takes(b []byte) (takes bool) {
	for _, c := range b {
		if f.back && c != '\n' && c != '\r' {
			takes = true
		}
		f.back = false
		switch f.state {
		case inText:
			switch c {
			case 0x1b:
				f.state = inEscape
			case '\r':
				f.back = true
			case '\b', '\v', '\f':
				takes = true
			}
		case inEscape:
			f.state = inText
			switch c {
			case '[':
				f.state, f.mode, f.alt = inControl, 0, false
			case ']', 'P', '^', '_', 'X':
				f.state = inString
			case '(', ')', '*', '+':
				f.state = inSet
			case '=', '>', '\\':
			default:
				takes = true
			}
		case inControl:
			switch {
			case c-'0' < 10:
				f.mode = min(10*f.mode+int(c-'0'), 1<<16)
			case c == ';', c >= 0x40 && c < 0x7f:
				f.alt = f.alt || f.mode == 47 || f.mode == 1047 || f.mode == 1049
				if f.mode = 0; c == ';' {
					break
				}
				f.state = inText
				takes = takes || c != 'm' && c != 'h' && c != 'l' || f.alt && c != 'm'
			case c < 0x20:
				takes = true
			}
		case inString:
			if c == 7 || c == 0x1b {
				f.state = inText
				if c == 0x1b {
					f.state = inEscape
				}
			}
		case inSet:
			f.state = inText
		}
	}
	return takes
}
