package admin

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"entry/audit"
	"entry/bastion/access"
	"entry/bastion/identity"
)

const (
	// failuresFor is how long ago a login failed that an operator is told of.
	failuresFor = 24 * time.Hour
	// mostShown and mostUnlocked bound the addresses that are looked at: those that were
	// locked and, behind them, those of other failures, the newest first.
	mostShown    = 64
	mostUnlocked = 1024
)

// Failures are what keeps a user waiting: failed logins, what they led to, and
// requests for approval.
type Failures struct {
	Locks   []identity.SourceLock    `json:"source_locks"`
	Failed  int                      `json:"failed_logins"` // in 24 hours, as far as the newest part of the log goes
	Last    *Trouble                 `json:"last_failed,omitempty"`
	Waiting []access.ApprovalRequest `json:"waiting"`
}

// failures answers what failed for a user lately, and who waits.
func (a *Server) failures(r *http.Request) (any, error) {
	ctx, name := r.Context(), r.PathValue("name")
	if _, err := a.Auth.User(ctx, name); err != nil {
		return nil, err
	}
	f := Failures{Waiting: []access.ApprovalRequest{}}
	sources, err := a.failed(ctx, name, mostShown, func(t Trouble) {
		f.Failed++
		f.Last = &t
	})
	if err != nil {
		return nil, err
	}
	if f.Locks, err = a.Auth.SourceLocks(ctx, name, sources); err != nil {
		return nil, err
	}
	if a.Gate != nil {
		all, err := a.Gate.Approvals(ctx)
		if err != nil {
			return nil, err
		}
		f.Waiting = slices.DeleteFunc(all, func(x access.ApprovalRequest) bool { return x.User != name })
	}
	return f, nil
}

// failed calls each with the user's failed logins of the last day, oldest first,
// and returns where they came from, most of them: where one led to a lock, then the
// others, the newest first.
func (a *Server) failed(ctx context.Context, user string, most int, each func(Trouble)) (sources []netip.Addr, err error) {
	at, locked, n := map[netip.Addr]int{}, map[netip.Addr]bool{}, 0
	if a.History == nil {
		return nil, nil
	}
	since := a.now().Add(-failuresFor)
	for e, err := range a.History(ctx, historyEvents) {
		var damaged *audit.BadRecord
		switch {
		case errors.As(err, &damaged):
			continue // audit verify is for that
		case err != nil:
			return nil, err
		}
		if e.User != user || e.Time.Before(since) || e.Type != audit.LoginFailed && e.Type != audit.LoginLocked {
			continue
		}
		if e.Type == audit.LoginFailed {
			each(Trouble{Time: e.Time, Type: e.Type.String(), Source: e.Source, Reason: e.Reason})
		}
		if e.Reason == identity.ReasonUnknownKey {
			continue // which locks nobody out
		}
		if from, err := netip.ParseAddrPort(e.Source); err == nil {
			n++
			at[from.Addr()] = n
			locked[from.Addr()] = locked[from.Addr()] || e.Type == audit.LoginLocked
		}
	}
	sources = slices.SortedFunc(maps.Keys(at), func(a, b netip.Addr) int {
		switch {
		case locked[a] == locked[b]:
			return at[b] - at[a]
		case locked[a]:
			return -1
		}
		return 1
	})
	return sources[:min(len(sources), most)], nil
}

func (a *Server) now() time.Time {
	if a.Gate != nil {
		return a.Gate.Now()
	}
	return time.Now()
}

// Did is what an operation says that it did, a clause each.
type Did struct {
	Did []string `json:"did"`
	// Still is what keeps the user out that it doesn't end.
	Still []string `json:"still,omitempty"`
}

// unlockUser lifts the locks of a user: their own, and those of their name from
// where they failed lately, or from the one source that the request names, which is
// then opened to everybody.
func (a *Server) unlockUser(r *http.Request) (any, error) {
	var in struct {
		Source string `json:"source"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	name := r.PathValue("name")
	if in.Source != "" {
		from, ok := identity.ParseSource(in.Source)
		if !ok {
			return nil, &Error{http.StatusBadRequest, "--source wants the address that the user comes from, such as 192.0.2.7, or its network as entry user show has it, such as 2001:db8:1:2::/64"}
		}
		return a.unlocked(r.Context(), name, []netip.Addr{from}, true)
	}
	sources, err := a.failed(r.Context(), name, mostUnlocked, func(Trouble) {})
	if err != nil {
		return nil, err
	}
	return a.unlocked(r.Context(), name, sources, false)
}

func (a *Server) unlocked(ctx context.Context, name string, sources []netip.Addr, whole bool) (any, error) {
	did, err := a.Auth.Unlock(ctx, name, sources, whole)
	if err != nil {
		return nil, err
	}
	still, err := a.Auth.StillBarred(ctx, name)
	return Did{did, still}, err
}

func (a *Server) enableUser(r *http.Request) (any, error) {
	did, err := a.Auth.Enabled(r.Context(), r.PathValue("name"))
	return Did{Did: did}, err
}
