package policy

import (
	"math/bits"
	"strings"
)

// Capability is one thing that a session may do. The set is closed; the zero
// Capability is none of them and stands for access as a whole.
type Capability uint8

// The capabilities, in the order in which they are listed everywhere.
const (
	Shell Capability = iota + 1
	Exec
	Upload
	Download
	ForwardLocal  // direct-tcpip and direct-streamlocal, as seen from the target
	ForwardRemote // tcpip-forward and streamlocal-forward on the target
	Agent
	X11
)

var capabilityNames = [...]string{
	Shell: "shell", Exec: "exec", Upload: "upload", Download: "download",
	ForwardLocal: "forward-local", ForwardRemote: "forward-remote", Agent: "agent", X11: "x11",
}

// String is the capability's name in policy files and messages: "forward-local".
func (c Capability) String() string {
	if c == 0 || int(c) >= len(capabilityNames) {
		return "access"
	}
	return capabilityNames[c]
}

// MarshalText is String.
func (c Capability) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// ParseCapability finds a capability by its name.
func ParseCapability(name string) (Capability, bool) {
	for c := Shell; c <= X11; c++ {
		if capabilityNames[c] == name {
			return c, true
		}
	}
	return 0, false
}

// Capabilities is a set of them; the zero value is empty.
type Capabilities uint16

// AllCapabilities is the set of all that there are.
const AllCapabilities = Capabilities(1<<(X11+1) - 1<<Shell)

// capabilitiesOf makes a set.
func capabilitiesOf(list ...Capability) Capabilities {
	var s Capabilities
	for _, c := range list {
		s = s.With(c)
	}
	return s
}

// Has reports whether c is in s. Nothing has the zero Capability.
func (s Capabilities) Has(c Capability) bool { return c != 0 && c <= X11 && s&(1<<c) != 0 }

// With is s and c.
func (s Capabilities) With(c Capability) Capabilities {
	if c == 0 || c > X11 {
		return s
	}
	return s | 1<<c
}

// List gives the members in the constants' order.
func (s Capabilities) List() []Capability {
	list := make([]Capability, 0, bits.OnesCount16(uint16(s)))
	for c := Shell; c <= X11; c++ {
		if s.Has(c) {
			list = append(list, c)
		}
	}
	return list
}

// String is "shell, exec"; "nothing" for the empty set.
func (s Capabilities) String() string {
	names := make([]string, 0, len(capabilityNames))
	for _, c := range s.List() {
		names = append(names, c.String())
	}
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

// Kind is what a target speaks.
type Kind uint8

// The kinds of target.
const (
	SSH Kind = iota // intercepted, recorded, relayed channel by channel
	TCP             // an opaque stream, reached by name over -L and -D
)

// String is "ssh" or "tcp".
func (k Kind) String() string {
	if k == TCP {
		return "tcp"
	}
	return "ssh"
}

// Auth is how entry logs in to a target.
type Auth uint8

// The ways to log in upstream.
const (
	Certificate Auth = iota // a user certificate made for this connection
	Passthrough             // the target's own prompts reach the user
)

// String is "certificate" or "passthrough".
func (a Auth) String() string {
	if a == Passthrough {
		return "passthrough"
	}
	return "certificate"
}

// Record is how much of a session is kept; the strictest is the highest.
type Record uint8

// The levels of recording.
const (
	Metadata Record = iota // who, where, when, how many bytes
	Manifest               // and which commands and files
	Full                   // and everything that was shown
)

var recordNames = []string{Metadata: "metadata", Manifest: "manifest", Full: "full"}

// String is "metadata", "manifest" or "full".
func (r Record) String() string {
	if int(r) < len(recordNames) {
		return recordNames[r]
	}
	return recordNames[Full]
}
