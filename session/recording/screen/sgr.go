package screen

// sgr carries out SGR.
//
// Source: xterm's control sequences, "CSI Pm m"; ISO 8613-6 for colours between
// colons, with and without a colour space.
func (t *Terminal) sgr() {
	p := &t.parser
	pen := &t.pen
	for i := 0; i < p.given(); {
		sub := i + 1 // where the parameters that belong to i end
		for sub < p.given() && p.colon[sub] {
			sub++
		}
		n := p.value(i)
		next := sub
		switch {
		case n == 0:
			*pen = Cell{}
		case n == 4 && sub > i+1:
			pen.underline(p.value(i + 1))
		case n >= 1 && n <= 9:
			pen.attr |= [...]Attr{0, Bold, Faint, Italic, Underline, Blink, Blink, Inverse, Hidden, Strike}[n]
			if n == 4 {
				pen.attr &^= DoubleUnderline
			}
		case n == 21:
			pen.underline(2)
		case n == 22:
			pen.attr &^= Bold | Faint
		case n >= 23 && n <= 29 && n != 26:
			pen.attr &^= [...]Attr{Italic, Underline | DoubleUnderline, Blink, 0, Inverse, Hidden, Strike}[n-23]
		case n >= 30 && n <= 37:
			pen.fg = indexed | Color(n-30)
		case n >= 40 && n <= 47:
			pen.bg = indexed | Color(n-40)
		case n >= 90 && n <= 97:
			pen.fg = indexed | Color(n-90+8)
		case n >= 100 && n <= 107:
			pen.bg = indexed | Color(n-100+8)
		case n == 39:
			pen.fg = 0
		case n == 49:
			pen.bg = 0
		case n == 53:
			pen.attr |= Overline
		case n == 55:
			pen.attr &^= Overline
		case n == 38, n == 48, n == 58:
			var c Color
			var ok bool
			if c, next, ok = p.color(i, sub); !ok {
				break
			}
			if n == 38 {
				pen.fg = c
			} else if n == 48 {
				pen.bg = c
			}
		}
		i = next
	}
}

// underline sets the kind of line under the text: curly, dotted and dashed ones
// count for one.
func (c *Cell) underline(kind int) {
	c.attr &^= Underline | DoubleUnderline
	switch kind {
	case 0:
	case 2:
		c.attr |= DoubleUnderline
	default:
		c.attr |= Underline
	}
}

// color reads the colour at parameter i, whose parts with colons end before sub,
// and returns which parameter comes next.
func (p *parser) color(i, sub int) (c Color, next int, ok bool) {
	at, end := i+1, sub
	if sub == i+1 { // with semicolons
		end = p.given()
	}
	next = end
	if at >= end {
		return 0, next, false
	}
	kind := p.value(at)
	at++
	switch kind {
	case 5:
		if sub == i+1 {
			next = min(at+1, end)
		}
		if at >= end || p.value(at) > 255 {
			return 0, next, false
		}
		return indexed | Color(p.value(at)), next, true
	case 2:
		if sub == i+1 {
			next = min(at+3, end)
		} else if end-at >= 4 {
			at++ // the colour space
		}
		if at+3 > end {
			return 0, next, false
		}
		for _, v := range p.params[at : at+3] {
			if v > 255 {
				return 0, next, false
			}
			c = c<<8 | Color(v)
		}
		return trueColor | c, next, true
	}
	if sub == i+1 {
		next = at
	}
	return 0, next, false
}
