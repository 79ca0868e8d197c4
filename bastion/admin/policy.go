package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"entry/audit"
	"entry/audit/plain"
	"entry/bastion/access"
)

// PolicyControl reads the policy files and puts them in force, for operators.
type PolicyControl interface {
	// Preview reads and tests the files and changes nothing.
	Preview(ctx context.Context) (PolicyPreview, error)
	// Apply puts the files in force if they still have this hash.
	Apply(ctx context.Context, hash string) error
}

// PolicyPreview is what the policy files would do to what is live.
type PolicyPreview struct {
	Hash     string               `json:"hash"`
	InForce  string               `json:"in_force"` // hash of the policy in force
	Warnings []string             `json:"warnings"`
	NewHosts []string             `json:"new_hosts"` // patterns that users' known_hosts lacks
	Live     int                  `json:"live"`      // sessions
	Ends     []access.SessionInfo `json:"ends"`      // of them, those that would end
}

// policyHandlers are the operations on policy and approvals.
func (a *Server) policyHandlers(handle func(string, func(*http.Request) (any, error))) {
	noServer := &Error{Status: http.StatusConflict, Text: "no server is running; it reads the policy when it starts"}
	handle("GET /v1/policy/preview", func(r *http.Request) (any, error) {
		if a.Control == nil {
			return nil, noServer
		}
		return a.Control.Preview(r.Context())
	})
	handle("POST /v1/policy/apply", func(r *http.Request) (any, error) {
		var in struct {
			Hash string `json:"hash"`
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Hash == "" {
			return nil, &Error{http.StatusBadRequest, "the request doesn't say which policy"}
		}
		if a.Control == nil {
			return nil, noServer
		}
		return struct{}{}, a.Control.Apply(r.Context(), in.Hash)
	})
	handle("GET /v1/approvals", func(r *http.Request) (any, error) {
		if a.Gate == nil {
			return []access.ApprovalRequest{}, nil
		}
		return a.Gate.Approvals(r.Context())
	})
	handle("GET /v1/approvals/given", func(r *http.Request) (any, error) {
		if a.Gate == nil {
			return []access.GivenApproval{}, nil
		}
		return a.Gate.Given(r.Context())
	})
	handle("DELETE /v1/approvals/{id}", func(r *http.Request) (any, error) {
		act := audit.ActorOf(r.Context())
		if a.Gate == nil || act == nil {
			return nil, &Error{http.StatusNotFound, "no approval in force has this ID"}
		}
		who, acting := personOf(act)
		done, err := a.Gate.Withdraw(r.Context(), r.PathValue("id"), "", "withdrawn by "+access.Approver(cmp.Or(who, "an operator"), acting))
		if errors.Is(err, access.ErrNotGiven) {
			return nil, &Error{http.StatusNotFound, "no approval in force has this ID; entry approve --given lists them"}
		}
		return done, err
	})
	handle("POST /v1/approvals/{id}", func(r *http.Request) (any, error) {
		act := audit.ActorOf(r.Context())
		if a.Gate == nil || act == nil {
			return nil, &Error{http.StatusNotFound, "nobody waits under this ID"}
		}
		who, acting := personOf(act)
		done, err := a.Gate.Approve(r.Context(), r.PathValue("id"), who, acting)
		switch {
		case errors.Is(err, access.ErrNoRequest):
			return nil, &Error{http.StatusNotFound, "nobody waits under this ID; entry approve lists who does"}
		case errors.Is(err, access.ErrNotApprover):
			return nil, &Error{http.StatusForbidden, "the rule doesn't name the account " + plain.Text(who) + " as an approver of this request, or the request is its own"}
		}
		return done, err
	})
}

// personOf is the account of whoever is behind the socket, as the kernel tells
// it, and how they act where that isn't as themselves. Only root and the server's
// own account get to it, so that of somebody who became one of them it is the
// account they logged in to; a process that no login started is its account's.
func personOf(a *audit.Actor) (name, acting string) {
	switch a.LoginUID {
	case a.UID:
		return a.Name, ""
	case audit.UnsetLoginUID:
		return a.Name, "without a login"
	}
	if name = nameOf(a.LoginUID); name == "" {
		return "", "" // nobody: no rule names it
	}
	return name, "as " + cmp.Or(a.Name, strconv.FormatUint(uint64(a.UID), 10))
}
