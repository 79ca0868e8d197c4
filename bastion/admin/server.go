package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"entry/audit"
	"entry/audit/evidence"
	"entry/audit/plain"
	"entry/audit/refusal"
	"entry/bastion/access"
	"entry/bastion/identity"
	"entry/policy"
	"entry/policy/strict"
)

// maxAdminBody bounds a request on the admin socket.
const maxAdminBody = 64 << 10 // bytes

// maxPeer bounds what a peer says, for the log.
const maxPeer = 256 // bytes

// endTimeout bounds what is still being answered when the socket closes.
const endTimeout = 5 * time.Second

// Events is the audit log. *audit.Log implements it.
type Events interface {
	// Append returns once the events are durable.
	Append(ctx context.Context, e ...audit.Event) error
}

// Server is what operators do to a running server or, with no server running,
// to its state directly: one set of operations, each audited with who did it.
// It is safe for concurrent use.
type Server struct {
	Auth   *identity.Authenticator
	Events Events
	Log    *zap.Logger
	Gate   *access.Gate   // nil when no server runs
	Policy *policy.Policy // what invitations are checked against when no server runs

	Control   PolicyControl // nil when no server runs
	Probe     Prober        // nil when no server runs
	Holds     Holds
	Erasures  Erasures
	Retention evidence.Retention // by which holds and erasures are carried out
	// Rotations change keys; nil where only questions are answered.
	Rotations Rotations
	// Recordings is the spool's directory.
	Recordings string
	rewrapping sync.Mutex // one at a time: what each is made of is judged before it is announced
	History    History    // of the audit log; nil shows none of it
	// Unread says which logs a database that was put back hasn't been held against; nil
	// where no server runs.
	Unread func(context.Context) ([]string, error)
}

// History yields the newest n events of the audit log, oldest first.
type History func(ctx context.Context, n int) iter.Seq2[audit.Event, error]

// Handler serves the operations as JSON over HTTP. Every request's context
// must hold an actor (audit.WithActor): Serve puts the socket's peer there, a client in the same process itself.
func (a *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, f func(r *http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if lasting(r.URL.Path) {
				_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // an answer in process has none
			}
			if name := r.PathValue("name"); name != "" && a.Gate != nil {
				// What ends by this operation ends with its reason.
				defer a.Gate.Changing(name)()
			}
			a.answer(w, r, f)
		})
	}
	handle("GET /v1/unread", func(r *http.Request) (any, error) {
		if a.Unread == nil {
			return []string(nil), nil
		}
		return a.Unread(r.Context())
	})
	handle("GET /v1/users", func(r *http.Request) (any, error) { return a.Auth.Users(r.Context()) })
	handle("GET /v1/users/{name}", func(r *http.Request) (any, error) { return a.Auth.User(r.Context(), r.PathValue("name")) })
	handle("GET /v1/users/{name}/doctor", a.doctor)
	handle("POST /v1/users/{name}", a.addUser)
	a.userHandlers(handle)
	handle("POST /v1/users/{name}/disable", a.change("user-disabled", a.Auth.Disable))
	handle("DELETE /v1/users/{name}", a.change("user-removed", a.Auth.Remove))
	handle("POST /v1/users/{name}/keys", a.addKey)
	handle("DELETE /v1/users/{name}/keys/{fingerprint}", a.removeKey)
	a.sessionHandlers(handle)
	a.holdHandlers(handle)
	a.erasureHandlers(handle)
	a.rotateHandlers(handle)
	a.policyHandlers(handle)
	return mux
}

// Error is an answer that an operator can act on.
type Error struct {
	Status int    `json:"-"`
	Text   string `json:"error"`
}

func (e *Error) Error() string { return e.Text }

// Issued is a temporary passphrase as the operator gets it, once.
type Issued struct {
	User       string    `json:"user"`
	Passphrase string    `json:"temporary_passphrase"`
	Until      time.Time `json:"until"`
}

func (a *Server) answer(w http.ResponseWriter, r *http.Request, f func(*http.Request) (any, error)) {
	most := int64(maxAdminBody)
	switch r.URL.Path {
	case manyPath:
		most = maxManyBody
	case RewrapPath:
		most = maxRewrapBody
	}
	r.Body = http.MaxBytesReader(w, r.Body, most)
	// What was begun is finished, audited and answered for, whether or not the
	// operator waits: an access half taken away would be no revocation.
	v, err := f(r.WithContext(context.WithoutCancel(r.Context())))
	if err != nil {
		e := a.publicError(r, err)
		w.WriteHeader(e.Status)
		v = e
	}
	_ = json.NewEncoder(w).Encode(v) // the peer may have left
}

// publicError is what an operator reads. They are trusted with causes, except
// for what isn't an answer at all.
func (a *Server) publicError(r *http.Request, err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, identity.ErrNoAccount):
		return &Error{http.StatusNotFound, a.noSuchUser(r.Context(), r.PathValue("name"))}
	case errors.Is(err, identity.ErrExists):
		return &Error{http.StatusConflict, "the user exists already; entry user reset makes a new temporary passphrase"}
	case errors.Is(err, identity.ErrChanged):
		return &Error{http.StatusConflict, "the account was changed by somebody else meanwhile; look and try again"}
	case errors.Is(err, identity.ErrNoKey):
		return &Error{http.StatusNotFound, "the user has no such key; entry user show lists them"}
	}
	a.Log.Error("admin request failed", zap.Error(err))
	return &Error{http.StatusInternalServerError, err.Error()}
}

// noSuchUser says that nobody has an account of that name, and who may have been meant.
func (a *Server) noSuchUser(ctx context.Context, name string) string {
	var names []string
	if all, err := a.Auth.Users(ctx); err == nil { // without it the rest is as true
		for _, u := range all {
			names = append(names, u.Name)
		}
	}
	said := "no such user " + plain.Quote(plain.Clip(name, maxPeer))
	if meant := strict.DidYouMean(name, names); meant != "" {
		return said + meant + " entry user ls shows all"
	}
	return said + "; entry user ls shows them"
}

func (a *Server) addUser(r *http.Request) (any, error) {
	return a.issued(r, a.Auth.AddUser)
}

// issued answers with a temporary passphrase and until when it is good.
func (a *Server) issued(r *http.Request, issue func(context.Context, string) (string, error)) (any, error) {
	name := r.PathValue("name")
	if err := policy.ValidUser(name); err != nil {
		return nil, &Error{http.StatusBadRequest, err.Error()}
	}
	pass, err := issue(r.Context(), name)
	if err != nil {
		return nil, err
	}
	u, err := a.Auth.User(r.Context(), name)
	return Issued{name, pass, u.TemporaryExpires}, err
}

// change is an operation that may take access away; then what the user has
// open ends with it.
func (a *Server) change(ends refusal.Code, f func(context.Context, string) error) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		err := f(r.Context(), r.PathValue("name"))
		if ends != "" {
			a.endUser(r.PathValue("name"), ends)
		}
		return struct{}{}, err
	}
}

// endUser ends what no longer stands. It is called after a failure too: the
// account may have been changed before something else went wrong.
func (a *Server) endUser(name string, reason refusal.Code) {
	if a.Gate != nil {
		a.Gate.EndUser(name, &refusal.Error{Code: reason, Text: "your access was changed by an administrator"})
	}
}

func (a *Server) addKey(r *http.Request) (any, error) {
	var in struct {
		Key    string `json:"key"`
		Shared string `json:"shared"` // why other accounts may have it, too
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, &Error{http.StatusBadRequest, "the request holds no key"}
	}
	add := a.Auth.AddKey
	if in.Shared != "" {
		add = func(ctx context.Context, name, line string) (string, error) {
			return a.Auth.ShareKey(ctx, name, line, in.Shared)
		}
	}
	fp, err := add(r.Context(), r.PathValue("name"), in.Key)
	var refused *identity.KeyRefused
	if errors.As(err, &refused) {
		return nil, &Error{http.StatusBadRequest, refused.Text}
	}
	if err != nil {
		return nil, err
	}
	also, err := a.Auth.AlsoHeld(r.Context(), r.PathValue("name"), fp)
	return AddedKey{fp, also}, err
}

// AddedKey is a key that an account has now.
type AddedKey struct {
	Fingerprint string `json:"fingerprint"`
	Also        string `json:"also,omitempty"` // who else has it, and what that comes to, as a clause
}

// removeKey also ends what was opened with the key: it may have been stolen.
func (a *Server) removeKey(r *http.Request) (any, error) {
	return a.change("key-removed", func(ctx context.Context, name string) error {
		return a.Auth.RemoveKey(ctx, name, r.PathValue("fingerprint"))
	})(r)
}

// nameOf is the name of an account of this machine, "" if it has none.
func nameOf(uid uint32) string {
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return ""
	}
	return u.Username
}

// Process is the actor that the process pid of account uid is.
func Process(uid uint32, pid int32) audit.Actor {
	a := audit.Actor{UID: uid, LoginUID: audit.UnsetLoginUID}
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/loginuid", pid)); err == nil {
		if n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 32); err == nil {
			a.LoginUID = uint32(n)
		}
	}
	a.Name = nameOf(uid)
	if a.LoginUID != uid && a.LoginUID != audit.UnsetLoginUID {
		a.LoginName = nameOf(a.LoginUID)
	}
	return a
}

// Serve answers on the admin socket until l is closed. Only root and the
// server's own account are served; the kernel says who the peer is.
func (a *Server) Serve(l net.Listener) error {
	own, handler := uint32(os.Geteuid()), a.Handler()
	srv := &http.Server{
		ReadTimeout:    10 * time.Second,
		WriteTimeout:   time.Minute,
		IdleTimeout:    time.Minute,
		MaxHeaderBytes: maxAdminBody,
		ErrorLog:       zap.NewStdLog(a.Log),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			act := audit.ActorOf(r.Context())
			if act == nil || act.UID != 0 && act.UID != own {
				w.WriteHeader(http.StatusForbidden)
				_ = json.NewEncoder(w).Encode(&Error{Text: "only root and the server's own account may use the admin socket"})
				return
			}
			handler.ServeHTTP(w, r)
		}),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			cred, err := peer(c)
			if err != nil {
				a.Log.Error("admin peer", zap.Error(err))
				return ctx // without an actor nothing is served
			}
			return audit.WithActor(ctx, Process(cred.Uid, cred.Pid))
		},
	}
	err := srv.Serve(l)
	// What is being answered may finish; clients that only hold on may not.
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	if serr := srv.Shutdown(ctx); serr != nil {
		err = errors.Join(err, srv.Close())
	}
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// peer is who connected, from the kernel (SO_PEERCRED).
func peer(c net.Conn) (*unix.Ucred, error) {
	uc, ok := c.(*net.UnixConn)
	if !ok {
		return nil, errors.New("not a unix socket")
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *unix.Ucred
	var cerr error
	if err := raw.Control(func(fd uintptr) { cred, cerr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return nil, err
	}
	return cred, cerr
}
