package configs

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"entry/policy/strict"
)

// The holes of templates.
const (
	holeUser   = "{user}"
	holeNumber = "{number}"
	holeText   = "{text}"
)

// mostSpan is ten years: more is a typing error.
const mostSpan = 87_600 * time.Hour

func (r reader) login(l *Login, v, root strict.Value) {
	f := v.Fields("grace", "enrolment_grace", "temporary_passphrase", "channels_after", "remembered_keys", "touch_is_code", "inactivity", "passphrase_age", "terms")
	duration(f, "grace", &l.Grace, 10*time.Second, time.Hour)
	duration(f, "enrolment_grace", &l.EnrolmentGrace, time.Minute, time.Hour)
	duration(f, "temporary_passphrase", &l.TemporaryPassphrase, time.Minute, 90*24*time.Hour)
	duration(f, "channels_after", &l.ChannelsAfter, time.Minute, 7*24*time.Hour)
	keys := f.Get("remembered_keys").Fields("lifetime", "ipv4", "ipv6")
	duration(keys, "lifetime", &l.Remembered.Lifetime, 0, 12*time.Hour)
	number(keys, "ipv4", &l.Remembered.IPv4, 8, 32)
	number(keys, "ipv6", &l.Remembered.IPv6, 16, 128)
	boolean(f, "touch_is_code", &l.TouchIsCode)
	spanOrNever(f, "inactivity", &l.Inactivity)
	spanOrNever(f, "passphrase_age", &l.PassphraseAge)
	r.optional(f, or(v, root), "terms", "login.", &l.Terms)
}

// spanOrNever reads a span that 0 turns off: anything else below a day would lock
// everybody out.
func spanOrNever(f strict.Fields, key string, dst *time.Duration) {
	const least = 24 * time.Hour
	duration(f, key, dst, 0, mostSpan)
	if *dst > 0 && *dst < least {
		f.Get(key).Errorf(codeSpan, "%s would end accounts between two logins; want %dh or more, or 0 for never", *dst, int(least/time.Hour))
	}
}

func (r reader) realms(c *Config, v strict.Value) {
	if !v.Present() {
		return
	}
	first := map[string]int{}
	for i, item := range v.SomeItems() {
		f := item.Fields("name", "where", "ldap")
		name := f.Need("name")
		realm := Realm{Name: name.Text(), Where: f.Get("where").Text(), LDAP: r.ldap(f.Need("ldap"), fmt.Sprintf("realms.%d.ldap.", i))}
		if name.Present() && !labelForm.MatchString(realm.Name) {
			name.Errorf(codeName, "%q is no name of a realm; want lower-case letters, digits and dashes", realm.Name)
		} else if line, dup := first[realm.Name]; dup {
			name.Errorf(codeName, "realm %q stands here twice; the first is on line %d", realm.Name, line)
		} else {
			first[realm.Name] = name.Line()
		}
		c.Realms = append(c.Realms, realm)
	}
}

func (r reader) ldap(v strict.Value, key string) LDAP {
	f := v.Fields("url", "start_tls", "ca", "server_name", "bind_dn", "search", "groups", "timeout", "poll")
	l := LDAP{URL: f.Need("url").Text(), ServerName: f.Get("server_name").Text(), BindDN: f.Get("bind_dn").Text(), Timeout: 5 * time.Second}
	boolean(f, "start_tls", &l.StartTLS)
	r.optional(f, v, "ca", key, &l.CA)
	duration(f, "timeout", &l.Timeout, 100*time.Millisecond, time.Minute)
	checkDirectory(f.Get("url"), l)
	if dn := f.Get("bind_dn"); dn.Present() {
		needHoles(dn, holeUser)
	}
	if s := f.Get("search"); s.Present() {
		l.Search, l.Poll = r.search(s, key+"search."), 5*time.Minute
		duration(f, "poll", &l.Poll, time.Second, time.Hour)
	} else if poll := f.Get("poll"); poll.Present() {
		poll.Errorf(codeOneOf, "without search nobody can be looked for: give search, or leave poll out")
	}
	if f.Get("bind_dn").Present() == f.Get("search").Present() && v.Present() {
		v.Errorf(codeOneOf, "give either bind_dn, if a user's name says it all, or search")
	}
	if g := f.Get("groups"); g.Present() {
		gf := g.Fields("base", "filter", "attribute")
		l.Groups = &Groups{Base: gf.Get("base").Text(), Filter: gf.Get("filter").Text(), Attribute: gf.Get("attribute").Text()}
		if gf.Get("base").Present() != gf.Get("filter").Present() {
			g.Errorf(codeOneOf, "give base and filter together, or neither for the user's own entry")
		}
	}
	return l
}

func (r reader) search(v strict.Value, key string) *Search {
	f := v.Fields("base", "filter", "bind_dn", "password_file")
	s := &Search{Base: f.Need("base").Text(), Filter: f.Need("filter").Text(), BindDN: f.Get("bind_dn").Text()}
	r.optional(f, v, "password_file", key, &s.PasswordFile)
	if filter := f.Get("filter"); filter.Present() {
		needHoles(filter, holeUser)
	}
	if (s.BindDN == "") != (s.PasswordFile == "") {
		v.Errorf(codeOneOf, "give bind_dn and password_file together, or neither to search anonymously")
	}
	return s
}

// countryCode is the beginning of E.164 numbers: a country, or a part of one.
var countryCode = regexp.MustCompile(`^\+[1-9][0-9]{0,6}$`)

func (r reader) sms(v strict.Value) *SMS {
	if !v.Present() {
		return nil
	}
	f := v.Fields(append(slices.Clone(endpointFields), "body", "countries", "until")...)
	s := &SMS{Endpoint: r.endpoint(f, v, "sms."), Body: f.Need("body").Text()}
	if body := f.Get("body"); body.Present() {
		needHoles(body, holeNumber, holeText)
	}
	for _, item := range f.Get("countries").Items() {
		text, ok := item.Want("text")
		if ok && !countryCode.MatchString(text) {
			item.Errorf(codeCountry, "%q: want what numbers of a country begin with, such as \"+47\", in quotes", text)
		}
		s.Countries = append(s.Countries, text)
	}
	if until := f.Get("until"); until.Present() {
		s.Until = until.Days(0, 0, 3650)
	}
	return s
}

func (r reader) notices(v strict.Value) *Notices {
	if !v.Present() {
		return nil
	}
	f := v.Fields("command", "timeout", "webhook")
	n := &Notices{}
	command, webhook := f.Get("command"), f.Get("webhook")
	for _, item := range command.Items() {
		n.Command = append(n.Command, item.Text())
	}
	if command.Present() && (len(n.Command) == 0 || !filepath.IsAbs(n.Command[0])) {
		command.Errorf(codePath, "want a list that begins with a program's absolute path")
	}
	if command.Present() {
		n.Timeout = 10 * time.Second
		duration(f, "timeout", &n.Timeout, 100*time.Millisecond, 5*time.Minute)
	} else if t := f.Get("timeout"); t.Present() {
		t.Errorf(codeOneOf, "timeout belongs to command; a webhook has its own")
	}
	if webhook.Present() {
		e := r.endpoint(webhook.Fields(endpointFields...), webhook, "notices.webhook.")
		n.Webhook = &e
	}
	if command.Present() == webhook.Present() {
		v.Errorf(codeOneOf, "give either command or webhook")
	}
	return n
}

var endpointFields = []string{"url", "headers_file", "ca", "timeout", "retries"}

func (r reader) endpoint(f strict.Fields, parent strict.Value, key string) Endpoint {
	e := NewEndpoint(f.Need("url").Text())
	r.optional(f, parent, "headers_file", key, &e.HeadersFile)
	r.optional(f, parent, "ca", key, &e.CA)
	duration(f, "timeout", &e.Timeout, 100*time.Millisecond, 5*time.Minute)
	number(f, "retries", &e.Retries, 0, 10)
	checkEndpoint(f.Get("url"), e.URL)
	return e
}

// needHoles reports a template that would say the same of everybody.
func needHoles(v strict.Value, holes ...string) {
	for _, hole := range holes {
		if !strings.Contains(v.Text(), hole) {
			v.Errorf(codeHole, "%s is missing in it", hole)
		}
	}
}

// checkDirectory keeps passphrases off the wire: TLS, or this machine.
func checkDirectory(v strict.Value, l LDAP) {
	if !v.Present() {
		return
	}
	u, err := url.Parse(l.URL)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "ldap" && u.Scheme != "ldaps":
		v.Errorf(codeURL, "want ldaps://HOST or ldap://HOST, with a port at most")
	case u.Scheme == "ldaps" && l.StartTLS:
		v.Errorf(codeURL, "start_tls belongs to ldap://; ldaps:// has TLS from the start")
	case u.Scheme == "ldap" && !l.StartTLS && !IsLoopback(u.Hostname()):
		v.Errorf(codeURL, "plain ldap:// would send passphrases in clear: use ldaps:// or start_tls: true")
	}
}

// checkEndpoint does the same for codes. The URL isn't quoted back: it may hold
// a key.
func checkEndpoint(v strict.Value, text string) {
	if !v.Present() {
		return
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Scheme != "http" && u.Scheme != "https":
		v.Errorf(codeURL, "want https://HOST/PATH, without a user or password in it")
	case u.Scheme == "http" && !IsLoopback(u.Hostname()):
		v.Errorf(codeURL, "plain http:// would send this in clear: use https://")
	}
}

// IsLoopback reports whether host is this machine: an address of the loopback
// interface, or localhost. What it says goes for secrets without TLS.
func IsLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// checkDialled accepts "host" and "host:port".
func checkDialled(address string) string {
	host := address
	if strings.Contains(address, ":") {
		h, _, err := net.SplitHostPort(address)
		if problem := checkListen(address); err != nil || problem != "" {
			return "want host or host:port, as users type it"
		}
		host = h
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() || err != nil && !nameForm.MatchString(host) {
		return "want a host name or an address that users can reach, with a port at most"
	}
	return ""
}
