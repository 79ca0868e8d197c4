package control

import "bytes"

// notice takes a notification: what is told of sizes, of panes that are gone, and of which
// window and pane are in front.
func (s *Stream) notice(line []byte) {
	word, rest, _ := bytes.Cut(line, []byte(" "))
	first, more, _ := bytes.Cut(rest, []byte(" "))
	switch string(word) {
	case "%window-add", "%unlinked-window-add":
		if window, ok := id(rest, '@'); ok {
			if uint64(window) < s.next { // tmux gives no number twice
				s.closeAll()
			}
			s.next = uint64(window) + 1
		}
	case "%layout-change":
		if window, ok := id(first, '@'); ok {
			s.next = max(s.next, uint64(window)+1)
			s.laidOut(window, more)
		}
	case "%window-close", "%unlinked-window-close":
		if window, ok := id(first, '@'); ok {
			s.keepOf(window, nil)
			delete(s.active, window)
		}
	case "%session-window-changed":
		if window, ok := id(more, '@'); ok {
			s.front, s.shown = window, true
		}
	case "%window-pane-changed":
		window, ok := id(first, '@')
		pane, is := id(more, '%')
		if ok && is && len(s.active) < maxSizes && len(s.window) < maxSizes {
			s.active[window], s.window[pane] = pane, window
		}
	}
}

// laidOut has the layouts of a window.
func (s *Stream) laidOut(window uint32, line []byte) {
	panes := s.sizesIn(line)
	if len(panes) == 0 {
		return
	}
	s.keepOf(window, panes)
	for id, z := range panes {
		if len(s.window) < maxSizes {
			s.window[id] = window
		}
		s.resize(id, z)
	}
}

// listed has a line of an answer. What is known of a pane already is newer than that: a list
// doesn't say which one is zoomed.
func (s *Stream) listed(line []byte) {
	for id, z := range s.sizesIn(line) {
		if _, known := s.sizes[id]; !known {
			s.resize(id, z)
		}
	}
}

// sizesIn are the sizes of panes that a line tells: the layout of a window, and, since tmux
// 2.2, what of it shows, which is one pane alone where that is zoomed.
func (s *Stream) sizesIn(line []byte) map[uint32]size {
	all := map[uint32]size{}
	n := 0
	layouts(line, func(whole size, panes map[uint32]size) {
		s.whole = whole
		for id, z := range panes {
			if _, ok := all[id]; n == 0 || ok {
				all[id] = z
			}
		}
		n++
	})
	return all
}

// keepOf closes a window's panes but for some.
func (s *Stream) keepOf(window uint32, some map[uint32]size) {
	for id, w := range s.window {
		if _, stays := some[id]; w != window || stays {
			continue
		}
		delete(s.window, id)
		delete(s.sizes, id)
		if p := s.panes[id]; p != nil {
			s.close(p)
		}
	}
}
