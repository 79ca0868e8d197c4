package configs

import "time"

// Realm is a directory that says whether a passphrase is right.
type Realm struct {
	// Name is what operators and users call it: lower-case, as a label.
	Name string
	// Where tells users where they change their passphrase, as the object of
	// "at": "https://accounts.example.org"; "" says "the directory NAME".
	Where string
	LDAP
}

// LDAP is how a directory is asked. One of BindDN and Search is set.
type LDAP struct {
	// URL is ldaps://host[:636], or ldap://host[:389]; the latter needs StartTLS
	// unless host is a loopback address or localhost.
	URL string
	// StartTLS upgrades an ldap:// connection before anything else is sent.
	StartTLS bool
	// CA is a file of PEM certificates that the server's must chain to; "" takes
	// the system's.
	CA string
	// ServerName is the name in the server's certificate; "" takes URL's host.
	ServerName string
	// BindDN makes the name that a user binds with, {user} being theirs:
	// "uid={user},ou=people,dc=example,dc=org", or for Active Directory
	// "{user}@example.org".
	BindDN string
	// Search finds the entry to bind as, where its DN can't be told from the
	// name; nil without one.
	Search *Search
	// Groups reads the user's groups; nil reads none.
	Groups *Groups
	// Timeout bounds a whole question. Default 5s.
	Timeout time.Duration
	// Poll is how often a directory with Search is asked for users who are logged in
	// or have remembered keys: who is gone or locked there loses both. Default 5m; 0 without Search.
	Poll time.Duration
}

// Search finds the one entry of a user below Base.
type Search struct {
	Base string
	// Filter has {user} in it: "(uid={user})", "(sAMAccountName={user})".
	Filter string
	// BindDN and the first line of PasswordFile are the account that searches;
	// without both the search is anonymous. The file is read at each question,
	// so that it can be replaced, and must be readable to its owner alone.
	BindDN, PasswordFile string
}

// Groups says where group names stand.
type Groups struct {
	// Base and Filter find the entries to read: {user} and {dn} stand for the
	// name and the DN of the user, as in "(member={dn})". Both empty mean the
	// user's own entry.
	Base, Filter string
	// Attribute of those entries has the names; "" means "memberOf" in the user's
	// own entry, and "cn" in those that Filter finds.
	Attribute string
}

// Endpoint is where to POST, and how patiently.
type Endpoint struct {
	// URL is https://…, or http://… on a loopback address.
	URL string
	// HeadersFile holds further headers, one "Name: value" a line, for API keys.
	// It must be readable to its owner alone, and is read at each request, so
	// that a key can be replaced. "" means none.
	HeadersFile string
	// CA is a file of PEM certificates that the server's must chain to; "" takes
	// the system's.
	CA string
	// Timeout bounds one try. Default 10s.
	Timeout time.Duration
	// Retries is how many further tries follow a timeout or a 5xx answer, 10 at
	// most. Default 2.
	Retries int
}

// NewEndpoint is the endpoint at url with the defaults.
func NewEndpoint(url string) Endpoint {
	return Endpoint{URL: url, Timeout: 10 * time.Second, Retries: 2}
}

// SMS is a site's gateway for text messages.
type SMS struct {
	Endpoint
	// Body is the template of what is posted, JSON or a form, told apart by its
	// first character: {"to":"{number}","message":"{text}"} or
	// to={number}&message={text}. What stands in the holes is escaped.
	Body string
	// Countries are what numbers begin with to which SMS go, "+47" say; none is any.
	Countries []string
	// Until is how long an account's codes go by SMS: a later login enrols an
	// authenticator app. 0, the default, is for good.
	Until time.Duration
}

// Notices is where notices to users go: one of Command and Webhook is set.
type Notices struct {
	// Command is a program, by its absolute path, and its arguments. It gets the
	// notice as one line of JSON on standard input, and an environment of PATH
	// alone. Status 0 means that it has taken the notice.
	Command []string
	// Timeout bounds a run of Command. Default 10s.
	Timeout time.Duration
	// Webhook gets the notice as JSON by POST.
	Webhook *Endpoint
}

// Guides are what users are told about their access.
type Guides struct {
	// Directory is where invitations put personal guides, for a web server to
	// serve; "" for none. Default "".
	Directory string
	// Contact says whom users ask, as a phrase of printable characters, in guides, in
	// the dialogue of a login and where something is refused. Default "your lab's administrator", also for "".
	Contact string
}
