package configs

import "time"

// Realm is a directory that says whether a passphrase is right.
type Realm struct {
	// Name is what operators and users call it: lower-case, as a label.
	Name string
	// Where tells users where they change their passphrase, as the object of
	// "at"; "" says the directory's name.
	Where string
	LDAP  LDAP
}

// LDAP is how a directory is asked. One of BindDN and Search is set.
type LDAP struct {
	// URL is ldaps://host[:port], or ldap://host[:port] with StartTLS.
	URL      string
	StartTLS bool
	// CA is a file of certificates that the server's must chain to; "" takes the
	// system's.
	CA string
	// ServerName is the name in the server's certificate; "" takes URL's host.
	ServerName string
	// BindDN is what a user binds as, with {user} in it.
	BindDN string
	// Search finds whom to bind as; nil without one.
	Search *Search
	// Groups reads the user's groups; nil reads none.
	Groups *Groups
	// Timeout bounds a whole question. Default 5s.
	Timeout time.Duration
}

// Search finds the one entry of a user. BindDN and PasswordFile, the account
// that searches, are both set or both empty.
type Search struct{ Base, Filter, BindDN, PasswordFile string }

// Groups says where group names stand: in Attribute of what Filter finds below
// Base, or of the user's own entry where both are empty.
type Groups struct{ Base, Filter, Attribute string }

// Endpoint is an address to POST to.
type Endpoint struct {
	// URL is https://…, or http://… on a loopback address.
	URL string
	// HeadersFile holds further headers, for API keys; "" for none.
	HeadersFile string
	// CA is a file of certificates that the server's must chain to; "" takes the
	// system's.
	CA string
	// Timeout bounds one try. Default 10s.
	Timeout time.Duration
	// Retries is how many further tries there are. Default 2.
	Retries int
}

// SMS is a site's gateway for text messages.
type SMS struct {
	Endpoint
	// Body is what is posted, JSON or a form, with {number} and {text} in it.
	Body string
}

// Notices is where notices to users go: one of Command and Webhook is set.
type Notices struct {
	// Command is a program, by its absolute path, and its arguments; Timeout
	// bounds a run of it. Default 10s.
	Command []string
	Timeout time.Duration
	Webhook *Endpoint
}

// Guides are what users are told about their access.
type Guides struct {
	// Directory is where invitations put personal guides, for a web server to
	// serve; "" for none. Default "".
	Directory string
	// Contact says whom users ask, as a phrase; "" is their lab's administrator.
	Contact string
}
