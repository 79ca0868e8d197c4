package demohome

import (
	"encoding/binary"
	"errors"
	"os"
	"sync"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// maxSide bounds a window's rows and columns, which the kernel keeps in 16 bits.
const maxSide = 1<<16 - 1

// terminal is one pty. The master stays with the server; the slave is the
// program's and is closed here once it runs.
type terminal struct {
	master, slave *os.File
	name          string // of the slave, for SSH_TTY
	once          sync.Once
}

func openTerminal(cols, rows uint32, modes string) (*terminal, error) {
	master, slave, err := pty.Open()
	if err != nil {
		return nil, err
	}
	if master, err = pollable(master); err != nil {
		_ = slave.Close() // nothing was written to it
		return nil, err
	}
	t := &terminal{master: master, slave: slave, name: slave.Name()}
	if err := t.setModes(parseModes(modes)); err != nil {
		t.close()
		return nil, err
	}
	if !t.resize(cols, rows) {
		t.close()
		return nil, errors.New("set window size")
	}
	return t, nil
}

// close is safe to call more than once and unblocks reads and writes.
func (t *terminal) close() {
	t.once.Do(func() {
		t.closeSlave()
		_ = t.master.Close() // nothing is buffered in a pty's descriptor
	})
}

func (t *terminal) closeSlave() { _ = t.slave.Close() }

func (t *terminal) resize(cols, rows uint32) bool {
	size := &unix.Winsize{Col: uint16(min(cols, maxSide)), Row: uint16(min(rows, maxSide))}
	return control(t.master, func(fd int) error { return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, size) }) == nil
}

// pollable takes f over and returns it in non-blocking mode: creack/pty leaves
// descriptors blocking, and closing such a file unblocks no read.
func pollable(f *os.File) (*os.File, error) {
	defer func() { _ = f.Close() }() // the duplicate lives on
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd) // unused
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// sendBreak does what the break request means on a serial line; on a pty the
// kernel accepts it and nothing happens, as with sshd.
func (t *terminal) sendBreak() bool {
	err := control(t.master, func(fd int) error { return unix.IoctlSetInt(fd, unix.TCSBRK, 0) })
	return err == nil
}

// mode is one entry of the encoded terminal modes.
type mode struct {
	op    byte
	value uint32
}

// parseModes decodes RFC 4254 §8: opcodes 1 to 159 carry a uint32, 0 ends the
// list, and the first opcode from 160 up stops it, since its argument's length
// is unknown. A cut entry ends the list too. Each opcode counts once.
func parseModes(s string) []mode {
	var out []mode
	seen := [160]bool{}
	for len(s) >= 5 && s[0] != 0 && s[0] < 160 {
		if op := s[0]; !seen[op] {
			seen[op] = true
			out = append(out, mode{op, binary.BigEndian.Uint32([]byte(s[1:5]))})
		}
		s = s[5:]
	}
	return out
}

// Opcodes of RFC 4254 §8 (and 42 of RFC 8160) by the part of termios they
// set. Speeds and character sizes are left alone: a pty has neither.
var (
	modeChars = map[byte]int{
		1: unix.VINTR, 2: unix.VQUIT, 3: unix.VERASE, 4: unix.VKILL, 5: unix.VEOF, 6: unix.VEOL, 7: unix.VEOL2,
		8: unix.VSTART, 9: unix.VSTOP, 10: unix.VSUSP, 12: unix.VREPRINT, 13: unix.VWERASE, 14: unix.VLNEXT, 18: unix.VDISCARD,
	}
	modeInput = map[byte]uint32{
		30: unix.IGNPAR, 31: unix.PARMRK, 32: unix.INPCK, 33: unix.ISTRIP, 34: unix.INLCR, 35: unix.IGNCR, 36: unix.ICRNL,
		37: unix.IUCLC, 38: unix.IXON, 39: unix.IXANY, 40: unix.IXOFF, 41: unix.IMAXBEL, 42: unix.IUTF8,
	}
	modeLocal = map[byte]uint32{
		50: unix.ISIG, 51: unix.ICANON, 52: unix.XCASE, 53: unix.ECHO, 54: unix.ECHOE, 55: unix.ECHOK, 56: unix.ECHONL,
		57: unix.NOFLSH, 58: unix.TOSTOP, 59: unix.IEXTEN, 60: unix.ECHOCTL, 61: unix.ECHOKE, 62: unix.PENDIN,
	}
	modeOutput = map[byte]uint32{
		70: unix.OPOST, 71: unix.OLCUC, 72: unix.ONLCR, 73: unix.OCRNL, 74: unix.ONOCR, 75: unix.ONLRET,
	}
)

// disabledChar is what clients send for "no such character"; termios says 0.
const disabledChar = 255

func (t *terminal) setModes(modes []mode) error {
	if len(modes) == 0 {
		return nil
	}
	return control(t.slave, func(fd int) error {
		tio, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err != nil {
			return err
		}
		for _, m := range modes {
			apply(tio, m)
		}
		return unix.IoctlSetTermios(fd, unix.TCSETS, tio)
	})
}

func apply(tio *unix.Termios, m mode) {
	if i, ok := modeChars[m.op]; ok {
		tio.Cc[i] = byte(m.value)
		if m.value >= disabledChar {
			tio.Cc[i] = 0
		}
		return
	}
	for _, flags := range []struct {
		bits map[byte]uint32
		word *uint32
	}{{modeInput, &tio.Iflag}, {modeLocal, &tio.Lflag}, {modeOutput, &tio.Oflag}} {
		bit, ok := flags.bits[m.op]
		switch {
		case !ok:
		case m.value != 0:
			*flags.word |= bit
		default:
			*flags.word &^= bit
		}
	}
}

// control runs f on f's descriptor without taking it out of the poller, which
// Fd would do: closing must go on unblocking reads.
func control(file *os.File, f func(fd int) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}
