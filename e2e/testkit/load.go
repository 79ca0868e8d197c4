package testkit

import (
	"crypto/sha256"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// maxSlowness keeps a hang from holding a run for ever: a bound of 20 s is
	// 10 minutes then.
	maxSlowness = 30

	// lookEvery is how old a reading may be.
	lookEvery = 250 * time.Millisecond

	// halfLife is how long it takes until a reading of the past counts half.
	halfLife = 5 * time.Second

	// probeSize bytes are hashed in one look: 0.6 ms on a processor that has
	// instructions for it, 3 ms on one that hasn't. Beyond probeTime a machine
	// is slow.
	probeSize = 1 << 20
	probeTime = 4 * time.Millisecond
)

// Slowness is by how much longer than on a quiet machine something may take
// now: 1 on a quiet one, 12 where 25 programs want two processors. It is the
// largest of three readings, of which none sees everything:
//
//   - programs that can run at this moment, by processor;
//   - the same over the last minute, those that wait for a disk included;
//   - how long a fixed piece of work takes, which also sees a slow processor
//     and a virtual machine that gets little of one.
//
// It rises at once and falls slowly, since what is late now was held up a moment
// ago. It is safe for concurrent use.
func Slowness() float64 { return machine.slowness() }

var machine = meter{look: look}

// meter keeps the last reading. Its tests have a look of their own.
type meter struct {
	look func() float64

	mu   sync.Mutex
	at   time.Time
	last float64
}

func (m *meter) slowness() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	age := now.Sub(m.at) // negative, or years, where a bubble of synctest has a time of its own
	if age >= 0 && age < lookEvery {
		return m.last
	}
	faded := 0.0
	if age > 0 {
		faded = (m.last - 1) * math.Exp2(-age.Seconds()/halfLife.Seconds())
	}
	m.at, m.last = now, min(maxSlowness, max(1, 1+faded, m.look()))
	return m.last
}

// look is one reading of this machine.
func look() float64 {
	began := time.Now()
	sha256.Sum256(probe[:])
	work := float64(time.Since(began)) / float64(probeTime)
	// Elsewhere than on Linux the work alone says it.
	text, _ := os.ReadFile("/proc/loadavg")
	minute, now := parseLoad(string(text))
	return max(work, max(minute, now)/float64(runtime.NumCPU()))
}

var probe [probeSize]byte

// parseLoad reads /proc/loadavg (proc_loadavg(5)): the average of the last
// minute, and what can run now besides the reader itself.
func parseLoad(text string) (minute, now float64) {
	f := strings.Fields(text)
	if len(f) < 4 {
		return 0, 0
	}
	running, _, _ := strings.Cut(f[3], "/")
	minute, _ = strconv.ParseFloat(f[0], 64) // 0 if it isn't a number
	now, _ = strconv.ParseFloat(running, 64)
	return minute, now - 1
}
