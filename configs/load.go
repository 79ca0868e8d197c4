package configs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"entry/policy/strict"
)

// C codes are about what entry.yaml says; the Y codes of reading are package
// strict's. Like those they are stable.
const (
	codeAddress  = "C001" // not an address to listen on, or the same twice
	codePath     = "C002" // not a path
	codeSamePath = "C003" // one path in two roles
	codeCA       = "C004" // an authority's key in no place, or in two
	codeName     = "C005" // a name of a wrong form
	codeStartups = "C006" // not begin:rate:full, or burst:rate
	codeURL      = "C007" // a URL of a wrong form, or one that sends secrets in clear
	codeOneOf    = "C008" // too many or too few of settings that belong together
	codeHole     = "C009" // a template without what is to be filled in
	codeSpan     = "C010" // a time too short to live with
	codeContact  = "C011" // not one line that a terminal can show
	codeCountry  = "C012" // not what phone numbers begin with
	codeKey      = "C013" // not a witness's public key
)

// Load reads the configuration at path. The error is [strict.Problems], all of
// them, where the file is to blame, and wraps the cause where there is none to
// read. Nothing is written, and no file but path is read.
func Load(path string) (*Config, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("load config %s: %w", path, err)
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("load config: %w", err)
	}
	f, problem := strict.ReadFile(path)
	if problem != nil {
		return nil, strict.Problems{*problem}
	}
	doc := strict.Read(f)
	r := reader{dir: filepath.Dir(abs), at: map[string]strict.Value{}}
	c := r.read(doc.Root())
	c.Path = abs
	validate(c, r.at)
	if found := doc.Problems(); len(found) > 0 {
		return nil, found
	}
	return c, nil
}

// reader decodes one file. at remembers where each setting stands, by its
// dotted name, so that validate can point there; what the file leaves out is
// remembered at the mapping it would stand in.
type reader struct {
	dir string
	at  map[string]strict.Value
}

func (r reader) read(root strict.Value) *Config {
	f := root.Fields("name", "address", "listeners", "policy", "database", "audit", "recording", "keys", "admin",
		"login", "realms", "sms", "notices", "guides", "operators", "limits", "drain", "log")
	c := Default()
	r.text(f.Get("name"), "name", &c.Name)
	r.text(f.Get("address"), "address", &c.Address)
	r.path(f, root, "policy", "", &c.Policy)
	duration(f, "drain", &c.Drain, 0, 24*time.Hour)
	r.listeners(c, f.Need("listeners"))

	database := f.Get("database")
	r.path(database.Fields("sqlite"), or(database, root), "sqlite", "database.", &c.Database.SQLite)
	r.audit(&c.Audit, f.Get("audit"), root)
	r.recording(&c.Recording, f.Get("recording"), root)
	r.keys(&c.Keys, f.Get("keys"), root)
	admin := f.Get("admin")
	r.path(admin.Fields("socket"), or(admin, root), "socket", "admin.", &c.Admin.Socket)

	r.login(&c.Login, f.Get("login"), root)
	r.realms(c, f.Get("realms"))
	c.SMS = r.sms(f.Get("sms"))
	c.Notices = r.notices(f.Get("notices"))
	guides := f.Get("guides")
	g := guides.Fields("directory", "contact")
	r.optional(g, or(guides, root), "directory", "guides.", &c.Guides.Directory)
	if v := g.Get("contact"); v.Text() != "" {
		c.Guides.Contact = v.Text()
		if !shown(c.Guides.Contact) {
			v.Errorf(codeContact, "want one short line that every terminal can show, such as \"the service desk, desk@example.org\"")
		}
	}
	operators := f.Get("operators").Fields("reset_needs_two", "erase_needs_two", "rescue")
	boolean(operators, "reset_needs_two", &c.Operators.ResetNeedsTwo)
	boolean(operators, "erase_needs_two", &c.Operators.EraseNeedsTwo)
	for _, item := range operators.Get("rescue").Items() {
		if name := item.Text(); userForm.MatchString(name) {
			c.Operators.Rescue = append(c.Operators.Rescue, name)
		} else {
			item.Errorf(codeName, "%q is no name of a user", name)
		}
	}
	limits(&c.Limits, f.Get("limits"))
	level := f.Get("log").Fields("level").Get("level")
	if words := []string{"debug", "info", "warn", "error"}; level.Present() {
		c.Log.Level = words[level.Choice(words...)]
	}
	return c
}

func (r reader) listeners(c *Config, v strict.Value) {
	for i, item := range v.SomeItems() {
		f := item.Fields("address", "target")
		key := fmt.Sprintf("listeners.%d.", i)
		var l Listener
		r.text(f.Need("address"), key+"address", &l.Address)
		r.text(f.Get("target"), key+"target", &l.Target)
		c.Listeners = append(c.Listeners, l)
	}
}

func (r reader) audit(a *Audit, v, root strict.Value) {
	f := v.Fields("directory", "witness", "reserve", "segment", "keep", "key", "agent", "public_key", "witnesses", "need", "within", "required")
	v = or(v, root)
	r.path(f, v, "directory", "audit.", &a.Directory)
	r.optional(f, v, "witness", "audit.", &a.Witness)
	a.Reserve = f.Get("reserve").Size(a.Reserve, leastReserve, mostBytes)
	a.Keep = f.Get("keep").Days(0, 90, 36500)
	a.Segment = f.Get("segment").Size(a.Segment, leastSegment, mostSegment)
	r.path(f, v, "key", "audit.", &a.Key)
	r.optional(f, v, "agent", "audit.", &a.Agent)
	if a.Agent != "" {
		if key := f.Get("key"); key.Present() {
			key.Errorf(codeOneOf, "give either key or agent")
		}
		a.Key = ""
	}
	r.path(f, v, "public_key", "audit.", &a.PublicKey)
	r.witnesses(a, f)
}

// Sizes beyond 1 PiB are typing errors.
const (
	leastReserve = 1 << 20 // bytes
	leastSegment = 1 << 10 // bytes: a few events
	mostSegment  = 4 << 30 // bytes: a start reads all of it
	mostBytes    = 1 << 50
)

func (r reader) recording(c *Recording, v, root strict.Value) {
	f := v.Fields("directory", "auditors", "labs", "reserve", "quota", "share", "keep_at_least", "notice")
	v = or(v, root)
	r.path(f, v, "directory", "recording.", &c.Directory)
	r.path(f, v, "auditors", "recording.", &c.Auditors)
	for _, e := range f.Get("labs").Entries() {
		if !labelForm.MatchString(e.Key) {
			e.At.Errorf(codeName, "%q is no name of a lab", e.Key)
			continue
		}
		if c.Labs == nil {
			c.Labs = map[string]string{}
		}
		if e.Value.IsEmpty() {
			e.Value.Errorf(codePath, "the path is empty")
		}
		c.Labs[e.Key] = r.resolve(e.Value, e.Value.Text())
	}
	c.Reserve = f.Get("reserve").Size(c.Reserve, leastReserve, mostBytes)
	c.Quota = f.Get("quota").Size(c.Quota, 0, mostBytes)
	c.Share = f.Get("share").Size(c.Share, 0, mostBytes)
	c.KeepAtLeast = f.Get("keep_at_least").Days(0, 1, 36500)
	c.Notice = Notice(f.Get("notice").Choice(noticeNames...))
}

func (r reader) keys(k *Keys, v, root strict.Value) {
	f := v.Fields("directory", "host_ca", "user_ca", "secret")
	v = or(v, root)
	r.path(f, v, "directory", "keys.", &k.Directory)
	r.path(f, v, "secret", "keys.", &k.Secret)
	r.ca(&k.HostCA, f.Get("host_ca"), v, "keys.host_ca.", true)
	r.ca(&k.UserCA, f.Get("user_ca"), v, "keys.user_ca.", false)
}

func (r reader) ca(c *CA, v, parent strict.Value, key string, mayBeOffline bool) {
	if !v.Present() {
		r.at[key+"file"] = parent
		c.File = r.join(c.File)
		return
	}
	*c = CA{}
	f := v.Fields("file", "agent", "public_key")
	r.optional(f, v, "file", key, &c.File)
	r.optional(f, v, "agent", key, &c.Agent)
	r.optional(f, v, "public_key", key, &c.PublicKey)
	file, agent, public := f.Get("file").Present(), f.Get("agent").Present(), f.Get("public_key").Present()
	switch {
	case file && !agent && !public, !file && agent && public:
	case !file && !agent && public && mayBeOffline:
	case mayBeOffline:
		v.Errorf(codeCA, "give file, or agent with public_key, or public_key alone if the key is kept offline")
	default:
		v.Errorf(codeCA, "give file, or agent with public_key")
	}
}

func limits(l *Limits, v strict.Value) {
	f := v.Fields("startups", "per_source", "connections", "channels", "events", "dial", "source_address")
	if startups := f.Get("startups"); startups.Present() {
		if s, ok := parseStartups(startups.Text()); ok {
			l.Startups = s
		} else {
			startups.Errorf(codeStartups, `want "begin:rate:full" such as "10:30:100": 1 or more connections, 1 to 100 percent, and a full that is no less than begin`)
		}
	}
	number(f, "per_source", &l.PerSource, 1, 100_000)
	number(f, "connections", &l.Connections, 1, 100_000)
	number(f, "channels", &l.Channels, 1, 1_000_000)
	if events := f.Get("events"); events.Present() {
		if e, ok := parseEvents(events.Text()); ok {
			l.Events = e
		} else {
			events.Errorf(codeStartups, `want "burst:rate" such as "20000:8": how many at once, 100 or more, and how many a second after that`)
		}
	}
	duration(f, "dial", &l.Dial, 100*time.Millisecond, 5*time.Minute)
	for _, item := range f.Get("source_address").Items() {
		if network, ok := item.Network(); ok {
			l.SourceAddress = append(l.SourceAddress, network)
		}
	}
}

var startupsForm = regexp.MustCompile(`^([1-9][0-9]{0,5}):([1-9][0-9]{0,2}):([1-9][0-9]{0,5})$`)

func parseStartups(s string) (Startups, bool) {
	m := startupsForm.FindStringSubmatch(s)
	if m == nil {
		return Startups{}, false
	}
	var n [3]int
	for i := range n {
		n[i], _ = strconv.Atoi(m[i+1]) // the form admits numbers only
	}
	return Startups{n[0], n[1], n[2]}, n[1] <= 100 && n[2] >= n[0]
}

var eventsForm = regexp.MustCompile(`^([1-9][0-9]{2,8}):([1-9][0-9]{0,5})$`)

func parseEvents(s string) (Events, bool) {
	m := eventsForm.FindStringSubmatch(s)
	if m == nil {
		return Events{}, false
	}
	var n [2]int
	for i := range n {
		n[i], _ = strconv.Atoi(m[i+1]) // the form admits numbers only
	}
	return Events{n[0], n[1]}, true
}

// The readers below leave in dst, where the file says nothing, what is there: the
// default.

func duration(f strict.Fields, key string, dst *time.Duration, least, most time.Duration) {
	*dst = f.Get(key).Duration(*dst, least, most)
}

func number(f strict.Fields, key string, dst *int, least, most int64) {
	*dst = int(f.Get(key).Int(int64(*dst), least, most))
}

func boolean(f strict.Fields, key string, dst *bool) { *dst = f.Get(key).Bool(*dst) }

func (r reader) text(v strict.Value, key string, dst *string) {
	r.at[key] = v
	if v.Present() {
		*dst = v.Text()
	}
}

// path reads a path that has to be somewhere.
func (r reader) path(f strict.Fields, parent strict.Value, name, prefix string, dst *string) {
	if v := f.Get(name); v.IsEmpty() {
		v.Errorf(codePath, "the path is empty")
	}
	r.optional(f, parent, name, prefix, dst)
}

// optional is path, where "" says that there is none.
func (r reader) optional(f strict.Fields, parent strict.Value, name, prefix string, dst *string) {
	v := f.Get(name)
	if !v.Present() {
		r.at[prefix+name] = parent
		*dst = r.join(*dst)
		return
	}
	r.at[prefix+name] = v
	*dst = r.resolve(v, v.Text())
}

func (r reader) resolve(v strict.Value, path string) string {
	if len(path) > 0 && path[0] == '~' {
		v.Errorf(codePath, "%q: nothing expands ~ here; write the directory out", path)
	}
	return r.join(path)
}

// join makes path absolute; "" stays "".
func (r reader) join(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(r.dir, path)
}

func or(v, other strict.Value) strict.Value {
	if v.Present() {
		return v
	}
	return other
}
